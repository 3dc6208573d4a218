"""Numbers as a person reads them."""

import pytest

from app.words.units import duration, interval, per_cent, quantity, significant


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (0, "0"),
        (560.0, "560"),
        (9.996, "10.0"),
        (0.00015556, "0.000156"),
        (1.2, "1.20"),
        (-41.84, "-41.8"),
        (2e-9, "2.00e-09"),
    ],
)
def test_three_digits_are_kept(value, text):
    assert significant(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ["—", "J"][0]),
        (0, "0 J"),
        (560, "560 J"),
        (999.4, "999 J"),
        (999.6, "1.00 kJ"),
        (1200, "1.20 kJ"),
        (3.6e6, "3.60 MJ"),
        (0.0418, "41.8 mJ"),
        (2.5e-7, "0.250 µJ"),
        (5e12, "5,000 GJ"),
    ],
)
def test_a_quantity_has_a_readable_prefix(value, text):
    assert quantity(value, "J") == text


def test_both_ends_of_an_interval_share_the_figure_s_prefix():
    assert interval(86, 880, "J", of=560) == "86.0–880 J"
    assert interval(81.2, 1010, "J", of=642) == "81.2–1,010 J"
    assert interval(900, 1200, "J", of=1100) == "0.900–1.20 kJ"
    assert interval(None, 1200, "J", of=None) == "—"
    assert interval(0, 0, "J", of=0) == "0–0 J"


def test_shares_are_per_cent():
    assert per_cent(0.956) == "95.6 %"
    assert per_cent(None) == "—"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.05, "50.0 ms"), (20.14, "20.1 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
