"""The ratio of energies: what holds of it whatever the runs are, and how often it errs."""

import math
from statistics import fmean, variance

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from app.analysis.ratios import MOST_RUNS, Ratio, ratio, runs_needed, verdict

EXAMPLES = settings(max_examples=100, deadline=None)
ENERGIES_J = st.floats(1e-2, 1e8)
RUNS = st.lists(ENERGIES_J, min_size=2, max_size=8)
NEAR = 1e-6  # relative, of ends whose logarithms are up to some hundreds
SEED = 20_261_129


def logs_of(found):
    """The ends that are no exponential of a number too large or too small for one."""
    return [math.log(v) for v in (found.low, found.ratio, found.high) if 1e-300 < v < 1e300]


def test_the_ratio_is_that_of_the_geometric_means():
    found = ratio([100.0, 400.0], [100.0, 100.0])
    assert found.ratio == pytest.approx(0.5)
    assert (found.baseline_runs, found.now_runs) == (2, 2)


def test_an_example_by_hand():
    """Logs of mean 0 and 0.1, variances 0.0002 each, n = 2: se = √0.0002, df = 2, t = 4.302653."""
    before, after = [math.exp(-0.01), math.exp(0.01)], [math.exp(0.09), math.exp(0.11)]
    found = ratio(before, after)
    half = 4.302653 * math.sqrt(0.0002)
    assert found.ratio == pytest.approx(math.exp(0.1))
    assert found.low == pytest.approx(math.exp(0.1 - half))
    assert found.high == pytest.approx(math.exp(0.1 + half))


@EXAMPLES
@given(RUNS, RUNS)
def test_it_holds_1_where_welch_s_test_finds_no_difference(before, after):
    if len(set(before)) == 1 and len(set(after)) == 1:
        return
    found = ratio(before, after)
    p = _p_value([math.log(v) for v in before], [math.log(v) for v in after])
    if abs(p - 0.05) > 1e-6:
        assert (found.low <= 1 <= found.high) == (p > 0.05)


def _p_value(a, b):
    """Welch's t by its formula, with the distribution alone from SciPy."""
    one, other = variance(a) / len(a), variance(b) / len(b)
    freedom = (one + other) ** 2 / (one**2 / (len(a) - 1) + other**2 / (len(b) - 1))
    t = (fmean(b) - fmean(a)) / math.sqrt(one + other)
    return 2 * stats.t.sf(abs(t), freedom)


@EXAMPLES
@given(RUNS, RUNS, st.floats(1e-3, 1e3))
def test_a_unit_changes_nothing(before, after, factor):
    found = ratio(before, after)
    scaled = ratio([factor * v for v in before], [factor * v for v in after])
    assert scaled.ratio == pytest.approx(found.ratio, rel=1e-9)
    assert logs_of(scaled) == pytest.approx(logs_of(found), rel=NEAR, abs=1e-9)


@EXAMPLES
@given(RUNS, RUNS)
def test_the_other_way_round_it_is_the_inverse(before, after):
    found, back = ratio(before, after), ratio(after, before)
    assert (back.baseline_runs, back.now_runs) == (found.now_runs, found.baseline_runs)
    assert [-v for v in reversed(logs_of(back))] == pytest.approx(
        logs_of(found), rel=NEAR, abs=1e-9
    )


@EXAMPLES
@given(st.lists(ENERGIES_J, min_size=1, max_size=6), st.lists(ENERGIES_J, min_size=1, max_size=6))
def test_the_interval_is_around_the_ratio_or_there_is_none(before, after):
    found = ratio(before, after)
    if min(len(before), len(after)) < 2:
        assert (found.low, found.high) == (None, None)
        assert verdict(found, 1.0) == "cannot_tell"
    else:
        assert found.low <= found.ratio * (1 + 1e-9)
        assert found.ratio * (1 - 1e-9) <= found.high


def test_runs_without_any_spread_have_an_interval_without_width():
    found = ratio([100.0, 100.0], [104.0, 104.0, 104.0])
    assert found.low == found.ratio == found.high == pytest.approx(1.04)
    assert verdict(found, 1.05) == "ok"
    assert verdict(found, 1.03) == "more"


def test_one_side_without_spread_has_that_of_the_other():
    found = ratio([100.0, 100.0, 100.0], [100.0, 110.0])
    assert found.low < 1 < found.high


def test_runs_alike_but_for_their_last_digit_are_no_warning():
    found = ratio([100.0, math.nextafter(100.0, 200.0)], [100.0, 100.0])
    assert found.low == pytest.approx(1)
    assert found.high == pytest.approx(1)


def test_an_interval_beyond_all_numbers_is_a_number():
    found = ratio([1e-200, 1e200], [1e-200, 1e200])
    assert found.low == 0
    assert math.isfinite(found.high)


@pytest.mark.parametrize("runs", [[], [1.0, 0.0], [1.0, -1.0]])
def test_what_is_no_energy_is_refused(runs):
    with pytest.raises(ValueError, match="above 0 J"):
        ratio(runs, [1.0])
    with pytest.raises(ValueError, match="above 0 J"):
        runs_needed([1.0], runs, 1.05)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.051, 1.2, "more"),
        (1.05, 1.2, "cannot_tell"),
        (0.9, 1.05, "ok"),
        (0.9, 1.051, "cannot_tell"),
        (0.5, 0.6, "ok"),
        (None, None, "cannot_tell"),
    ],
)
def test_the_whole_interval_decides(low, high, expected):
    found = Ratio(ratio=1.05, low=low, high=high, baseline_runs=5, now_runs=5)
    assert verdict(found, 1.05) == expected


@pytest.mark.parametrize("runs", [2, 5])
def test_false_alarms_are_no_more_than_stated(runs):
    """Of 2,000 comparisons of like with like, at most 2.5 % find more, and 5 % more or less."""
    random = np.random.default_rng(SEED)
    sides = np.exp(random.normal(5, 0.02, (2000, 2, runs)))
    found = [ratio(before, after) for before, after in sides.tolist()]
    more = sum(verdict(one, 1.0) == "more" for one in found)
    less = sum(verdict(one, 1.0) == "ok" for one in found)
    assert 0 < more <= 0.025 * 2000
    assert more + less <= 0.05 * 2000


def test_the_runs_that_are_advised_give_a_verdict_in_four_of_five_cases():
    random = np.random.default_rng(SEED)
    before, after = [97.0, 100.0, 103.0], [97.0, 100.0, 103.0]
    needed = runs_needed(before, after, 1.05)
    spread = math.sqrt(variance([math.log(v) for v in before]))
    sides = np.exp(random.normal(0, spread, (1000, 2, needed))).tolist()
    told = sum(verdict(ratio(*side), 1.05) != "cannot_tell" for side in sides)
    assert 0.76 * 1000 < told < 0.92 * 1000  # whole runs: a little more than asked for


@EXAMPLES
@given(RUNS, RUNS, st.floats(1, 2))
def test_more_runs_are_advised_than_could_not_tell(before, after, allowed):
    if verdict(ratio(before, after), allowed) == "cannot_tell":
        needed = runs_needed(before, after, allowed)
        assert needed is None or min(len(before), len(after)) < needed <= MOST_RUNS


def test_no_number_is_advised_where_none_would_do():
    assert runs_needed([90.0, 110.0], [90.1, 110.0], 1.0) is None
    assert runs_needed([100.0], [100.0, 101.0], 1.05) is None
    assert runs_needed([100.0, 100.0], [100.0, 100.0], 1.0) is None
    assert runs_needed([100.0, 100.0], [100.0, 100.0], 1.05) == 2
