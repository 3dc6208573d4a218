"""Two sides compared under every assumption: the ratio's ends, and whether the ranking holds."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from app.analysis import scenarios
from app.analysis.intervals import NONE, Interval
from app.domain.comparisons import SHOWN, Comparison, Holds, Scenario, Side
from app.domain.reports import EnergyReport

Reports = Sequence[EnergyReport]
ALIKE = 1e-9  # of a ratio: below it two figures are the same


def compare(
    a: Reports,
    b: Reports,
    by_set: Mapping[str, tuple[Reports, Reports]] | None = None,
    runs: Interval = NONE,
) -> Comparison:
    """B's energy over A's.

    Args:
        a: of one side, one or more.
        b: of the other.
        by_set: both sides evaluated under further sets of assumptions, by name.
        runs: the ratio's 95 % interval by how much runs of each side differ; null ends where that
            is not known. A scenario agrees where its ratio, with this interval around it, does.

    Raises:
        ValueError: a side has no report.
    """
    if not a or not b:
        raise ValueError("expected one report or more on each side, received none")
    before_j, after_j = _typical_j(a), _typical_j(b)
    ratio = None if before_j is None or after_j is None else after_j / before_j
    ratios, cancels = _ratios(a, b)
    less, around = _less(ratio), _around(ratio, runs)
    sure = [all(_less(one.ratio * end) == less for end in around) for one in ratios]
    agreeing = sum(sure)
    others = [one for one, agrees in zip(ratios, sure, strict=True) if not agrees]
    noisy = any(_less(ratio and ratio * end) != less for end in around)
    return Comparison(
        a=tuple(report.job_id for report in a),
        b=tuple(report.job_id for report in b),
        energy_a_j=before_j,
        energy_b_j=after_j,
        ratio=ratio,
        low=min((one.ratio for one in ratios), default=None),
        high=max((one.ratio for one in ratios), default=None),
        less=less,
        holds="cannot_tell" if noisy else _holds(less, agreeing, len(ratios), cancels=cancels),
        runs_low=runs[0],
        runs_high=runs[1],
        cancels=cancels,
        scenarios=len(ratios),
        agreeing=agreeing,
        against=tuple(sorted(others, key=_distance, reverse=True)[:SHOWN]),
        sets=_under_sets(by_set or {}),
    )


def _typical_j(reports: Reports) -> float | None:
    """The geometric mean of the totals; null where one is missing, or a lower bound."""
    totals = [r.energy.total_j for r in reports]
    known = [total_j for total_j in totals if total_j is not None and total_j > 0]
    if len(known) < len(totals) or not all(r.energy.complete for r in reports):
        return None
    return _geometric(known)


def _geometric(values: Sequence[float]) -> float:
    return math.exp(fmean(map(math.log, values)))


def _ratios(a: Reports, b: Reports) -> tuple[list[Scenario], bool]:
    """The ratio in each scenario, and whether the errors of both sides are shared in it."""
    if _typical_j(a) is None or _typical_j(b) is None:
        return [], False
    found = scenarios.named((*a, *b))
    if found is None:
        return _by_ends(a, b), False
    if any(min(joules) <= 0 for joules in found.values()):
        return [], True  # an end at 0 J: the ratio has no end
    return [
        Scenario(name=name, ratio=_geometric(joules[len(a) :]) / _geometric(joules[: len(a)]))
        for name, joules in found.items()
    ], True


def _by_ends(a: Reports, b: Reports) -> list[Scenario]:
    """The central figures, and each side's interval against the other's."""
    sides = [[(r.energy.low_j, r.energy.total_j, r.energy.high_j) for r in side] for side in (a, b)]
    one, other = ([_mean_end(side, place) for place in range(3)] for side in sides)
    if None in one or None in other:
        return []
    names = ("low end", "central figure", "high end")
    return [
        Scenario(name=f"{names[n]} of A, {names[m]} of B", ratio=two / first)
        for n, first in enumerate(one)
        for m, two in enumerate(other)
        if first and two
    ]


def _mean_end(side: Sequence[tuple[float | None, ...]], place: int) -> float | None:
    values = [ends[place] for ends in side]
    known = [value for value in values if value is not None and value > 0]
    return _geometric(known) if len(known) == len(values) else None


def _around(ratio: float | None, runs: Interval) -> tuple[float, ...]:
    """The ends of the interval of the runs, as factors of the ratio; 1 where it is not known."""
    low, high = runs
    return (1.0,) if ratio is None or low is None or high is None else (low / ratio, high / ratio)


def _less(ratio: float | None) -> Side | None:
    if ratio is None or abs(ratio - 1) < ALIKE:
        return None
    return "b" if ratio < 1 else "a"


def _holds(less: Side | None, agreeing: int, count: int, *, cancels: bool) -> Holds:
    """Where errors are not shared, a ranking that an end turns round cannot be told at all."""
    if less is None or not count:
        return "cannot_tell"
    if agreeing == count:
        return "in_all"
    return "in_some" if cancels else "cannot_tell"


def _distance(one: Scenario) -> float:
    return abs(math.log(one.ratio))


def _under_sets(by_set: Mapping[str, tuple[Reports, Reports]]) -> dict[str, float]:
    found = {}
    for name, (a, b) in by_set.items():
        before_j, after_j = _typical_j(a), _typical_j(b)
        if before_j is not None and after_j is not None:
            found[name] = after_j / before_j
    return found
