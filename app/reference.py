"""codecarbon's country and region tables, read as installed files without importing it.

Units differ from file to file; here everything is g of CO2e a kWh:

| file | countries | unit in the file |
|---|---|---|
| `global_energy_mix.json` | 213 countries | g/kWh |
| `2023/usa_emissions.json` | USA, states (EPA eGRID) | lbs/MWh |
| `2023/canada_energy_mix.json` | CAN, provinces | shares of sources; combustion only |
| `2023/china_provincial_emissions.json` | CHN, provinces (CO2 alone) | g/kWh |
| `nordic_emissions.json` | SWE, NOR, FIN, price zones | g/kWh |
"""

import json
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from app.domain.errors import FieldError, SpecError, UnavailableError, UsageError
from app.domain.evaluation import Evaluation
from app.domain.quantities import CarbonIntensity, Frozen
from app.domain.specs import Carbon

G_PER_KWH_OF_LBS_PER_MWH = 0.45359237  # international pound (1959): exact

# codecarbon 3.3.2, core/emissions.py, `_region_energy_mix_to_emissions_rate`: g/kWh by source
_COMBUSTION_G_PER_KWH = {"coal": 995.725971, "petroleum": 816.6885263, "naturalGas": 743.8415916}

COUNTRY = "carbon.country_iso_code"
REGION = "carbon.region"


class _Entry(Frozen):
    """One line of a table: its intensity in g/kWh, and where and of when it is."""

    name: str
    g_per_kwh: float
    source: str
    year: int | None


def intensity(
    carbon: Carbon, *, default_country: str | None, default_region: str | None
) -> CarbonIntensity:
    """The price of a kilowatt-hour for a spec: its own figure, its country, or the default's.

    Args:
        carbon: the spec's part; a region without a country is one of the default country.
        default_country: `TRAINWATT_COUNTRY_ISO_CODE`.
        default_region: `TRAINWATT_REGION`; it belongs to the default country alone.

    Raises:
        SpecError: a country or region is not in the tables. There is no world average.
    """
    if carbon.intensity_g_per_kwh is not None:
        return _given(carbon, carbon.intensity_g_per_kwh)
    country = carbon.country_iso_code or default_country
    if country is None:
        return _without_country(carbon)
    own_place = carbon.country_iso_code is not None or carbon.region is not None
    region = carbon.region if own_place else default_region
    entry = _entry(
        country,
        region,
        country_given=carbon.country_iso_code is not None,
        region_given=carbon.region is not None,
    )
    return CarbonIntensity(
        g_per_kwh=entry.g_per_kwh,
        source=entry.source,
        year=entry.year,
        country_iso_code=country,
        region=entry.name if region is not None else None,
        pue=carbon.pue,
        reason=None,
    )


def repriced(stored: CarbonIntensity, wanted: Evaluation) -> CarbonIntensity:
    """The price of a stored report with what is wanted otherwise; no setting plays a part.

    Args:
        stored: what the report was priced with.
        wanted: a country, a region, an intensity in g/kWh or a PUE; what is not given stays.

    Raises:
        SpecError: as `intensity`; fields are named as in `wanted`.
    """
    pue = stored.pue if wanted.pue is None else wanted.pue
    if not wanted.prices:
        return stored.model_copy(update={"pue": pue})
    country, region = wanted.country_iso_code, wanted.region
    if country is None:
        country = stored.country_iso_code
        if region is None:  # an intensity alone: of the same place
            region = stored.region
        elif country is None:
            expected = "a region beside country_iso_code: the stored report has no country"
            raise SpecError(FieldError(field="region", expected=expected, received=wanted.region))
    carbon = Carbon(
        country_iso_code=country,
        region=region,
        intensity_g_per_kwh=wanted.intensity_g_per_kwh,
        pue=pue,
    )
    try:
        found = intensity(carbon, default_country=None, default_region=None)
    except SpecError as error:
        raise SpecError(*map(_as_parameter, error.errors)) from error
    same = found.model_copy(update={"source": stored.source}) == stored
    if same or wanted.intensity_g_per_kwh is None:
        return stored if same else found
    return found.model_copy(update={"source": "given in the request"})


def _as_parameter(error: FieldError) -> FieldError:
    """The error of a spec's field as one of the query parameter of that name."""
    field = error.field.removeprefix("carbon.")
    return FieldError(field=field, expected=error.expected, received=error.received)


def _given(carbon: Carbon, g_per_kwh: float) -> CarbonIntensity:
    """The spec's own figure; a country or region beside it is checked all the same."""
    if carbon.country_iso_code is not None:
        _entry(carbon.country_iso_code, carbon.region, country_given=True, region_given=True)
    elif carbon.region is not None:
        raise _region_alone(carbon.region)
    return CarbonIntensity(
        g_per_kwh=g_per_kwh,
        source="given in the spec",
        year=None,
        country_iso_code=carbon.country_iso_code,
        region=carbon.region,
        pue=carbon.pue,
        reason=None,
    )


def _without_country(carbon: Carbon) -> CarbonIntensity:
    if carbon.region is not None:
        raise _region_alone(carbon.region)
    return CarbonIntensity(
        g_per_kwh=None,
        source=None,
        year=None,
        country_iso_code=None,
        region=None,
        pue=carbon.pue,
        reason="no_country",
    )


def _region_alone(region: str) -> SpecError:
    expected = f"a region beside {COUNTRY}, which names its country"
    return SpecError(FieldError(field=REGION, expected=expected, received=region))


def _entry(country: str, region: str | None, *, country_given: bool, region_given: bool) -> _Entry:
    """A country's line, or the region's where one is named."""
    found = _countries().get(country)
    if found is None:
        expected = f"one of the {len(_countries())} ISO 3166-1 alpha-3 codes of codecarbon's table"
        expected += " (FRA, DEU, USA, …)" + _from_setting("COUNTRY_ISO_CODE", country_given)
        raise SpecError(FieldError(field=COUNTRY, expected=expected, received=country))
    return found if region is None else _region_entry(country, region, region_given)


def _region_entry(country: str, region: str, region_given: bool) -> _Entry:
    table = _regions(country)
    found = table.get(" ".join(region.lower().split()))
    if found is not None:
        return found
    names = sorted({entry.name for entry in table.values()})
    expected = (
        f"one of the regions of {country}: {', '.join(names)}"
        if names
        else f"no region: there is no table of regions for {country}"
    )
    expected += _from_setting("REGION", region_given)
    raise SpecError(FieldError(field=REGION, expected=expected, received=region))


def _from_setting(name: str, in_spec: bool) -> str:
    """Where a wrong value came from, if not from the spec."""
    return "" if in_spec else f", in the setting TRAINWATT_{name}"


def _data() -> Path:
    """The data folder of the installed codecarbon.

    Raises:
        UnavailableError: codecarbon is not installed.
    """
    spec = find_spec("codecarbon")
    if spec is None or spec.origin is None:
        raise UnavailableError("codecarbon is not installed; install trainwatt's requirements")
    return Path(spec.origin).parent / "data"


def _json(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((_data() / "private_infra" / name).read_text("utf-8"))
    return loaded


@cache
def _countries() -> dict[str, _Entry]:
    return {
        code: _Entry(
            name=code,
            g_per_kwh=row["carbon_intensity"],
            source="codecarbon global_energy_mix",
            year=row["year"],
        )
        for code, row in _json("global_energy_mix.json").items()
    }


@cache
def _regions(country: str) -> dict[str, _Entry]:
    """A country's regions by every name and code they go by, in small letters."""
    read = _REGION_TABLES.get(country)
    return {} if read is None else read()


def _usa() -> dict[str, _Entry]:
    """States by name and by their two letters."""
    table = _json("2023/usa_emissions.json")
    states = {
        name: row for name, row in table.items() if not name.startswith("_") and name != "usa"
    }
    found: dict[str, _Entry] = {}
    for name, row in states.items():
        entry = _Entry(
            name=name,
            g_per_kwh=row["emissions"] * G_PER_KWH_OF_LBS_PER_MWH,
            source="codecarbon usa_emissions (EPA eGRID)",
            year=table["_source"]["year"],
        )
        found[name] = found[row["regionCode"].lower()] = entry
    return found


def _canada() -> dict[str, _Entry]:
    """Provinces from their mix, as codecarbon counts them; the file does not say its year."""
    return {
        name: _Entry(
            name=name,
            g_per_kwh=sum(mix[s] / mix["total"] * g for s, g in _COMBUSTION_G_PER_KWH.items()),
            source="codecarbon canada_energy_mix (combustion only)",
            year=None,
        )
        for name, mix in _json("2023/canada_energy_mix.json").items()
    }


def _china() -> dict[str, _Entry]:
    """Provinces by code and by every name that the file lists."""
    found: dict[str, _Entry] = {}
    for code, row in _json("2023/china_provincial_emissions.json")["data"].items():
        entry = _Entry(
            name=row["description"],
            g_per_kwh=row["emission_factor"],
            source="codecarbon china_provincial_emissions (CO2 only)",
            year=row["year"],
        )
        found |= dict.fromkeys((code.lower(), *row["names"]), entry)
    return found


def _nordic(prefix: str) -> Callable[[], dict[str, _Entry]]:
    """Price zones of one country."""
    return lambda: {
        zone.lower(): _Entry(
            name=zone,
            g_per_kwh=row["emission_factor"],
            source="codecarbon nordic_emissions",
            year=row["year"],
        )
        for zone, row in _json("nordic_emissions.json")["data"].items()
        if zone.startswith(prefix)
    }


_REGION_TABLES: dict[str, Callable[[], dict[str, _Entry]]] = {
    "USA": _usa,
    "CAN": _canada,
    "CHN": _china,
    "SWE": _nordic("SE"),
    "NOR": _nordic("NO"),
    "FIN": _nordic("FI"),
}


def check_default(country: str | None, region: str | None) -> None:
    """See that the settings' country and region can price a run, before any run needs them.

    Raises:
        UsageError: they cannot; the text names the variable.
    """
    try:
        intensity(Carbon(), default_country=country, default_region=region)
    except SpecError as error:
        wrong = error.errors[0]
        raise UsageError(
            f"TRAINWATT_COUNTRY_ISO_CODE or TRAINWATT_REGION: expected {wrong.expected}, "
            f"received {wrong.received!r}"
        ) from error
