"""Charts as data: places, gaps, words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web import charts


def points(piece):
    return [tuple(map(float, point.split(","))) for point in piece.split()]


def test_power_keeps_each_value_over_its_interval():
    chart = charts.power((0.0, 1.0), {"cpu": (10.0, 20.0), "gpu": (None, None)}, 4.0)
    (line,) = chart.lines
    assert (line.name, line.kind, line.says) == ("CPU", "cpu", "10.0 W to 20.0 W")
    top = 100 - 100 * 20 / (20 * charts.HEADROOM)
    assert points(line.pieces[0]) == [
        (0, pytest.approx(100 - (100 - top) / 2, abs=0.01)),
        (250, pytest.approx(100 - (100 - top) / 2, abs=0.01)),
        (250, pytest.approx(top, abs=0.01)),
        (1000, pytest.approx(top, abs=0.01)),
    ]
    assert chart.says == "Power, from 0 s to 4.00 s: CPU 10.0 W to 20.0 W"


def test_a_line_is_broken_where_a_value_is_missing():
    chart = charts.power((0.0, 1.0, 2.0), {"cpu": (10.0, None, 30.0)}, 3.0)
    assert [len(points(piece)) for piece in chart.lines[0].pieces] == [2, 2]


@given(st.lists(st.just(0.0) | st.floats(1e-6, 1e6), min_size=1, max_size=3000))
def test_a_long_line_is_cut_to_means_of_the_same_area(watts):  # no sensor tells a microwatt
    t_s = [float(n) for n in range(len(watts))]
    chart = charts.power(t_s, {"cpu": watts}, float(len(watts)))
    drawn = points(" ".join(chart.lines[0].pieces))
    assert len(drawn) <= 2 * charts.MOST_POINTS
    assert all(0 <= x <= 1000 and 0 <= y <= 100 for x, y in drawn)
    area = sum((b[0] - a[0]) * (100 - a[1]) for a, b in zip(drawn[::2], drawn[1::2], strict=True))
    top = (max(watts) or 1.0) * charts.HEADROOM
    assert area / 1e5 == pytest.approx(sum(watts) / len(watts) / top, abs=2e-3)


def test_an_epoch_that_stands_alone_is_a_dot():
    chart = charts.epochs("Loss", {"training loss": [0.5], "validation loss": [None]})
    alone, unknown = chart.lines
    assert [point[0] for point in points(alone.pieces[0])] == [500, 500]
    assert (unknown.pieces, unknown.says) == ((), "—")
    assert (chart.begin, chart.end) == ("epoch 1", "epoch 1")


def test_bars_share_one_scale_and_what_is_unknown_has_no_place():
    cpu, gpu = charts.bars(
        [("CPU", "cpu", 50.0, 25.0, 100.0), ("GPU", "gpu", None, None, None)], "J"
    )
    assert (cpu.width, cpu.low, cpu.high, cpu.text) == (50.0, 25.0, 100.0, "50.0 J")
    assert (gpu.width, gpu.low, gpu.high, gpu.text) == (None, None, None, "—")


def test_the_front_joins_those_that_no_other_one_beats():
    jobs = [
        (10.0, 0.9, "cheap", "/a"),
        (20.0, 0.95, "better", "/b"),
        (30.0, 0.93, "beaten", "/c"),
        (10.0, 0.8, "as cheap, worse", "/d"),
    ]
    chart = charts.scatter(jobs)
    assert [dot.best for dot in chart.dots] == [True, True, False, False]
    ((x1, y1, x2, y2),) = chart.front
    assert (x1 < x2) and (y1 > y2)
    assert charts.scatter(jobs[:1]) is None


@given(st.lists(st.tuples(st.floats(1, 1e6), st.floats(0, 1)), min_size=1, max_size=30))
def test_nobody_on_the_front_is_beaten_and_all_others_are(pairs):
    jobs = [(x, y, "", "") for x, y in pairs]
    best = charts.front(jobs)

    def beaten(n):
        x, y = pairs[n]
        return any(a <= x and b >= y and (a < x or b > y) for a, b in pairs)

    assert all(not beaten(n) for n in best)
    others = set(range(len(pairs))) - best
    assert all(beaten(n) or pairs[n] in [pairs[m] for m in best] for n in others)
