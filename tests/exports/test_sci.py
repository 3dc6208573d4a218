"""SCI = ((E × I) + M) per R."""

import json

import pytest

from app.exports.sci import sci
from tests.exports.conftest import NOWHERE


def made(report, *options):
    return json.loads(sci(report, *options))


@pytest.mark.parametrize(("unit", "count"), [("training", 1), ("epoch", 1), ("sample", 4000)])
def test_the_parts_make_the_sci(make_report, unit, count):
    found = made(make_report(), unit, 7.0)
    value = {name: part["value"] for name, part in found.items() if isinstance(part, dict)}
    assert value["units"] == count
    assert value["energy"] == pytest.approx(300 / 3.6e6 * 1.5)  # at the data centre's meter
    whole_g = value["energy"] * value["intensity"] + value["embodied"]
    assert value["sci"] == pytest.approx(whole_g / count)
    assert value["operational_per_unit_low"] <= value["operational_per_unit"]
    assert value["operational_per_unit"] <= value["operational_per_unit_high"]
    assert found["reason"] is None


def test_without_embodied_emissions_there_is_no_sci(make_report):
    found = made(make_report())
    assert found["sci"] == {"value": None, "unit": "gCO2e", "known": "not known"}
    assert found["operational_per_unit"]["value"] > 0
    assert "no embodied emissions" in found["reason"]


def test_embodied_emissions_of_zero_are_given(make_report):
    found = made(make_report(), "training", 0.0)
    assert found["sci"]["value"] == pytest.approx(found["operational_per_unit"]["value"])
    assert found["reason"] is None


def test_without_a_country_or_a_run_it_says_why(make_report, never_ran):
    for report in (make_report(price=NOWHERE), never_ran):
        found = made(report, "sample", 1.0)
        assert found["sci"]["value"] is None
        assert "no operational emissions" in found["reason"]


def test_every_field_says_how_it_is_known(make_report):
    for part in made(make_report(), "training", 1.0).values():
        if isinstance(part, dict):
            assert part["value"] is not None
            assert part["known"] in {
                "measured",
                "estimated",
                "assumed",
                "assumed in part",
            }


def test_a_figure_without_a_value_is_never_known(never_ran, make_report):
    for report in (never_ran, make_report(price=NOWHERE), make_report()):
        for part in made(report, "sample").values():
            if isinstance(part, dict):
                assert (part["value"] is None) == (part["known"] == "not known")
