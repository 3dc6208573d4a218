"""The tables: one version, rows that rise, sockets as codecarbon bills them."""

import csv
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from app.accounting import assumptions as a


def test_the_default_set_is_named_and_versioned():
    assert (a.DEFAULT.name, a.DEFAULT.version) == ("codecarbon", "3")
    assert a.SETS[a.DEFAULT.name] is a.DEFAULT


@pytest.mark.parametrize("name", a.SETS)
def test_sets_are_named_as_they_are_asked_for_and_central(name):
    assert (a.SETS[name].name, a.SETS[name].central) == (name, name)


def test_every_row_of_the_table_can_be_said_by_its_slug():
    assert set(a.GENERATIONS.values()) == set(a.SPECPOWER)
    assert set(a.SPECPOWER) > a.AMD_GENERATIONS
    assert all(re.fullmatch(r"[a-z0-9-]+", slug) for slug in a.GENERATIONS)


@pytest.mark.parametrize("row", [*a.SPECPOWER.values(), a.SPECPOWER_UNKNOWN])
def test_rows_rise(row):
    assert 0 < row.idle_low_w <= row.idle_w <= row.idle_high_w < row.full_w
    assert row.full_low_w < row.full_w < row.full_high_w


def test_the_tables_of_measurement():
    assert a.SPECPOWER[a.GENOA] == a.ServerRow(
        idle_low_w=0.28,
        idle_w=0.28,
        idle_high_w=0.28,
        full_low_w=1.26,
        full_w=1.53,
        full_high_w=1.94,
    )
    assert len(a.SPECPOWER) == 10
    assert (a.DEFAULT.wall_factor_low, a.DEFAULT.wall_factor, a.DEFAULT.wall_factor_high) == (
        1.15,
        1.33,
        1.55,
    )


def _name(number: str) -> str:
    """The name of a CPU in codecarbon's table by its processor number."""
    if number.startswith("E5"):
        return "Intel Xeon " + number.replace("V", " v")
    if re.match(r"8\d{3}", number):
        return f"Intel Xeon Platinum {number}"
    return f"Intel Xeon Gold {number}" if number[0] == "6" else f"AMD EPYC {number}"


@pytest.fixture(scope="module")
def billed_w() -> dict[str, str]:
    """codecarbon's table of CPUs; the first of equal names counts."""
    table = Path(find_spec("codecarbon").origin).parent / "data" / "hardware" / "cpu_power.csv"
    with table.open(newline="", encoding="utf-8") as file:
        rows = [(row["Name"], row["TDP"]) for row in csv.DictReader(file)]
    return dict(reversed(rows))


@pytest.mark.parametrize("number", sorted(a.SOCKETS))
def test_socket_tdp_is_what_codecarbon_bills(number, billed_w):
    assert float(billed_w[_name(number)]) == a.SOCKETS[number].tdp_w


def test_socket_threads_are_plausible():
    assert all(8 <= s.threads <= 384 and s.threads % 4 == 0 for s in a.SOCKETS.values())
