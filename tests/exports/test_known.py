"""How the total is known: as the least known part of it."""

import pytest

from app.exports.known import energy_method
from tests.exports.conftest import ABSENT, MEASURED, MODELLED, RAM


@pytest.mark.parametrize(
    ("cpu", "ram", "says"),
    [
        (MEASURED, ABSENT, "measured"),
        (MODELLED, ABSENT, "estimated"),
        (MEASURED, RAM, "assumed in part"),
        (MODELLED, RAM, "assumed in part"),
    ],
)
def test_the_least_known_part_counts(make_report, cpu, ram, says):
    assert energy_method(make_report(cpu=cpu, ram=ram)) == says


def test_without_a_figure_nothing_is_known(never_ran):
    assert energy_method(never_ran) == "not known"
