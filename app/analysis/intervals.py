"""Confidence intervals of means and of differences of means, by Student's t.

The formulas are written out, since SciPy's tests take half a millisecond each and an experiment has
hundreds of pairs; the quantile is SciPy's, and tests hold the ends against SciPy's own intervals.
"""

import math
from collections.abc import Sequence
from statistics import fmean, variance

Interval = tuple[float | None, float | None]
NONE: Interval = (None, None)


def of_mean(values: Sequence[float], confidence: float) -> Interval:
    """Of the mean, by Student's t (Biometrika 6, 1908); null ends for fewer than two values."""
    if len(values) < 2:
        return NONE
    half = math.sqrt(_spread(values) / len(values)) * _quantile(confidence, len(values) - 1)
    middle = fmean(values)
    return middle - half, middle + half


def of_next(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """Of one more value like these, by Student's t; two values or more.

    Raises:
        ValueError: there are fewer than two.
    """
    if len(values) < 2:
        raise ValueError(f"expected two values or more, received {len(values)}")
    half = math.sqrt(_spread(values) * (1 + 1 / len(values)))
    half *= _quantile(confidence, len(values) - 1)
    middle = fmean(values)
    return middle - half, middle + half


def of_difference(a: Sequence[float], b: Sequence[float], confidence: float) -> Interval:
    """Of the mean of B less the mean of A, by Welch's t (Biometrika 34, 1947).

    Null ends where a side has fewer than two values; no width where no value differs from its like.
    """
    if min(len(a), len(b)) < 2:
        return NONE
    middle = fmean(b) - fmean(a)
    one, other = (_spread(values) / len(values) for values in (a, b))
    if one + other == 0:
        return middle, middle
    freedom = 1 / (
        (one / (one + other)) ** 2 / (len(a) - 1) + (other / (one + other)) ** 2 / (len(b) - 1)
    )
    half = math.sqrt(one + other) * _quantile(confidence, freedom)
    return middle - half, middle + half


def _spread(values: Sequence[float]) -> float:
    """The variance; 0 where all values are the same, whatever rounding makes of it."""
    return 0.0 if len(set(values)) == 1 else variance(values)


def _quantile(confidence: float, freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + confidence) / 2))
