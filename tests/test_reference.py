"""Carbon intensities from codecarbon's tables: units, precedence, and refusals."""

import subprocess
import sys

import pytest

from app import reference
from app.domain.errors import SpecError
from app.domain.specs import Carbon


def _price(*, default_country=None, default_region=None, **carbon):
    return reference.intensity(
        Carbon(**carbon), default_country=default_country, default_region=default_region
    )


def test_a_country():
    found = _price(country_iso_code="FRA", pue=1.2)
    assert (found.g_per_kwh, found.year) == (56.039, 2023)
    assert found.source == "codecarbon global_energy_mix"
    assert (found.country_iso_code, found.region, found.pue) == ("FRA", None, 1.2)
    assert found.reason is None


@pytest.mark.parametrize(
    ("country", "region", "g_per_kwh", "name", "year"),
    [
        ("USA", "California", 394.769 * 0.45359237, "california", 2023),  # lbs/MWh in the file
        ("USA", "CA", 394.769 * 0.45359237, "california", 2023),
        ("CAN", "british columbia", (2.8 * 743.8415916 + 0.1 * 816.6885263) / 99.9, None, None),
        ("CHN", "beijing", 555.4, "Beijing", 2023),
        ("CHN", "CN-BJ", 555.4, "Beijing", 2023),
        ("SWE", "SE3", 27.0, "SE3", 2025),
        ("NOR", "no4", 51.7, "NO4", 2025),
        ("FIN", "FI", 72.0, "FI", 2025),
    ],
)
def test_a_region(country, region, g_per_kwh, name, year):
    found = _price(country_iso_code=country, region=region)
    assert found.g_per_kwh == pytest.approx(g_per_kwh, rel=1e-9)
    assert found.region == (name or region)
    assert (found.country_iso_code, found.year) == (country, year)


@pytest.mark.parametrize(
    ("country", "region"),
    [("USA", "california"), ("CAN", "alberta"), ("CHN", "hebei"), ("SWE", "SE1"), ("FRA", None)],
)
def test_it_is_what_codecarbon_computes(country, region):
    from codecarbon.core.emissions import Emissions
    from codecarbon.core.units import Energy
    from codecarbon.external.geography import GeoMetadata
    from codecarbon.input import DataSource

    geo = GeoMetadata(country_iso_code=country, country_name=country, region=region)
    kg = Emissions(DataSource()).get_private_infra_emissions(Energy(kWh=1.0), geo)
    found = _price(country_iso_code=country, region=region)
    assert found.g_per_kwh == pytest.approx(kg * 1000, rel=1e-9)


def test_no_country():
    found = _price(pue=1.5)
    assert (found.g_per_kwh, found.reason, found.pue) == (None, "no_country", 1.5)


def test_precedence():
    default = {"default_country": "USA", "default_region": "texas"}
    assert _price(**default).region == "texas"
    assert _price(**default, country_iso_code="FRA").g_per_kwh == 56.039
    assert _price(**default, region="ohio").region == "ohio"
    given = _price(**default, country_iso_code="FRA", intensity_g_per_kwh=0.0)
    assert (given.g_per_kwh, given.source, given.year) == (0.0, "given in the spec", None)
    assert given.country_iso_code == "FRA"
    assert _price(**default, intensity_g_per_kwh=5.0).country_iso_code is None


@pytest.mark.parametrize(
    ("carbon", "field"),
    [
        ({"country_iso_code": "XXX"}, "carbon.country_iso_code"),
        ({"country_iso_code": "USA", "region": "bavaria"}, "carbon.region"),
        ({"country_iso_code": "USA", "region": "_unit"}, "carbon.region"),
        ({"country_iso_code": "USA", "region": "usa"}, "carbon.region"),
        ({"country_iso_code": "DEU", "region": "bavaria"}, "carbon.region"),
        ({"country_iso_code": "SWE", "region": "NO1"}, "carbon.region"),
        ({"region": "california"}, "carbon.region"),
        ({"region": "california", "intensity_g_per_kwh": 5.0}, "carbon.region"),
        ({"country_iso_code": "XXX", "intensity_g_per_kwh": 5.0}, "carbon.country_iso_code"),
    ],
)
def test_unknown_places_are_refused(carbon, field):
    with pytest.raises(SpecError) as caught:
        _price(**carbon)
    (error,) = caught.value.errors
    assert error.field == field
    assert error.received in carbon.values()
    assert "TRAINWATT" not in error.expected


@pytest.mark.parametrize(
    ("defaults", "variable"),
    [
        ({"default_country": "XXX"}, "TRAINWATT_COUNTRY_ISO_CODE"),
        ({"default_country": "USA", "default_region": "bavaria"}, "TRAINWATT_REGION"),
    ],
)
def test_a_wrong_setting_is_named(defaults, variable):
    with pytest.raises(SpecError) as caught:
        _price(**defaults)
    assert variable in caught.value.errors[0].expected


def test_codecarbon_is_not_imported():
    code = (
        "import sys; from app import reference;"
        "from app.domain.specs import Carbon;"
        "reference.intensity(Carbon(country_iso_code='FRA'), default_country=None,"
        " default_region=None); sys.exit('codecarbon' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
