"""Confidence intervals: SciPy's own, to the last digits, and what has no width or no ends."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from app.analysis.intervals import of_difference, of_mean, of_next

VALUES = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20)
LEVELS = st.floats(0.5, 0.9999)


def _differ(values):
    return max(values) - min(values) > 1e-3


@given(VALUES, LEVELS)
def test_of_a_mean_it_is_scipys(values, confidence):
    assume(_differ(values))
    expected = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    ends = pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-6)
    assert of_mean(values, confidence) == ends


@given(VALUES, VALUES, LEVELS)
def test_of_a_difference_it_is_scipys(a, b, confidence):
    assume(_differ(a) and _differ(b))
    found = stats.ttest_ind(b, a, equal_var=False).confidence_interval(confidence)
    ends = pytest.approx((found.low, found.high), rel=1e-6, abs=1e-6)
    assert of_difference(a, b, confidence) == ends


@given(VALUES, LEVELS)
def test_of_one_more_it_is_students(values, confidence):
    """Of the next of n values: as of a mean whose standard error has one more value's in it."""
    assume(_differ(values))
    n = len(values)
    scale = np.std(values, ddof=1) * np.sqrt(1 + 1 / n)
    expected = stats.t.interval(confidence, n - 1, loc=np.mean(values), scale=scale)
    assert of_next(values, confidence) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(VALUES, VALUES, LEVELS)
def test_the_other_way_round_it_is_the_mirror(a, b, confidence):
    low, high = of_difference(a, b, confidence)
    assert of_difference(b, a, confidence) == pytest.approx((-high, -low), abs=1e-9)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), LEVELS)
def test_values_that_do_not_differ_have_no_width(one, other, confidence):
    assert of_mean([one] * 3, confidence) == (pytest.approx(one), pytest.approx(one))
    low, high = of_difference([one] * 3, [other] * 2, confidence)
    assert low == high == pytest.approx(other - one)


def test_one_value_shows_no_spread():
    assert of_mean([1.0], 0.95) == (None, None)
    assert of_difference([1.0], [1.0, 2.0], 0.95) == (None, None)
    with pytest.raises(ValueError, match="two values"):
        of_next([1.0], 0.95)
