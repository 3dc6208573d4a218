"""What came of an experiment: spreads, ratios with their intervals, fronts, and when to stop."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Literal

from app.analysis.intervals import of_difference, of_mean
from app.domain.experiments import (
    Ended,
    ExperimentResult,
    ExperimentSpec,
    PairResult,
    Spread,
    Variant,
    VariantResult,
)
from app.domain.jobs import FINAL_STATUSES, JobStatus
from app.domain.report_rows import ReportRow

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Run:
    """One job of an experiment; `row` is null while it is not final."""

    variant: int
    block: int
    status: JobStatus
    row: ReportRow | None
    unneeded: bool = False  # cancelled before it ran, by the end of the experiment

    @property
    def energy_j(self) -> float | None:
        """What it used, where it succeeded and that is known."""
        return self._of(lambda row: row.energy_total_j)

    @property
    def accuracy(self) -> float | None:
        """On the test set."""
        return self._of(lambda row: row.test_accuracy)

    def _of(self, figure: Callable[[ReportRow], float | None]) -> float | None:
        if self.status is not JobStatus.SUCCEEDED or self.row is None:
            return None
        value = figure(self.row)
        return None if value is None or not math.isfinite(value) else value


Runs = Sequence[Run]


def result(spec: ExperimentSpec, variants: Sequence[Variant], runs: Runs) -> ExperimentResult:
    """Everything that is known so far."""
    by_variant = {v.number: [run for run in runs if run.variant == v.number] for v in variants}
    found = [_variant(v, by_variant[v.number], spec) for v in variants]
    dominated = {v.number: _dominated_by(v, found) for v in found}
    found = [v.model_copy(update={"dominated_by": dominated[v.number]}) for v in found]
    return ExperimentResult(
        variants=tuple(found),
        pairs=tuple(pairs(by_variant, paired=spec.order == "blocks")),
        front_accuracy=tuple(_front(found, lambda v: v.test_accuracy, more_is_better=True)),
        front_duration=tuple(_front(found, lambda v: v.duration_s, more_is_better=False)),
        dominated_j=math.fsum(v.spent_j for v in found if v.dominated_by is not None),
        best=_best(found),
    )


def spread(values: Sequence[float]) -> Spread | None:
    """Mean, deviation and the mean's 95 % interval by Student's t; null without a value."""
    if not values:
        return None
    low, high = of_mean(values, CONFIDENCE)
    return Spread(
        runs=len(values),
        mean=fmean(values),
        standard_deviation=stdev(values) if len(values) > 1 else None,
        low=low,
        high=high,
    )


def _variant(variant: Variant, runs: Runs, spec: ExperimentSpec) -> VariantResult:
    accuracy = spread(_known(runs, lambda row: row.test_accuracy))
    wanted = spec.constraint.min_accuracy
    meets = None if wanted is None or accuracy is None else accuracy.mean >= wanted
    ended = [run for run in runs if run.status in FINAL_STATUSES and not run.unneeded]
    succeeded = sum(run.status is JobStatus.SUCCEEDED for run in ended)
    return VariantResult(
        number=variant.number,
        label=variant.label,
        succeeded=succeeded,
        failed=len(ended) - succeeded,
        energy_j=spread(_known(runs, lambda row: row.energy_total_j)),
        co2e_g=spread(_known(runs, lambda row: row.co2e_g)),
        duration_s=spread(_known(runs, lambda row: row.duration_s)),
        test_accuracy=accuracy,
        spent_j=math.fsum(run.row.energy_spent_j or 0.0 for run in runs if run.row),
        meets_constraint=meets,
        dominated_by=None,
    )


def _known(runs: Runs, figure: Callable[[ReportRow], float | None]) -> list[float]:
    values = (run._of(figure) for run in runs)
    return [value for value in values if value is not None]


def pairs(by_variant: Mapping[int, Runs], *, paired: bool = True) -> list[PairResult]:
    """Every pair of variants that both have a figure; their intervals hold together.

    Args:
        by_variant: the runs of each.
        paired: whether runs of one block ran beside each other, and are compared in pairs.
    """
    numbers = [n for n, runs in by_variant.items() if any(run.energy_j for run in runs)]
    every = [(a, b) for place, a in enumerate(numbers) for b in numbers[place + 1 :]]
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(every))
    return [_pair(a, b, by_variant[a], by_variant[b], confidence, paired=paired) for a, b in every]


def _pair(a: int, b: int, one: Runs, other: Runs, confidence: float, *, paired: bool) -> PairResult:
    first, second = _logs(one), _logs(other)
    blocks = sorted(first.keys() & second.keys()) if paired else []
    if len(blocks) >= 2:
        steps = [second[block] - first[block] for block in blocks]
        middle, (low, high) = fmean(steps), of_mean(steps, confidence)
    else:
        blocks = []
        middle = fmean(second.values()) - fmean(first.values())
        low, high = of_difference([*first.values()], [*second.values()], confidence)
    accuracies = [[r.accuracy for r in runs if r.accuracy is not None] for runs in (one, other)]
    difference = fmean(accuracies[1]) - fmean(accuracies[0]) if all(accuracies) else None
    ends = of_difference(accuracies[0], accuracies[1], confidence)
    less: Literal["a", "b"] | None = None
    if low is not None and high is not None:
        less = "b" if high < 0 else "a" if low > 0 else None
    return PairResult(
        a=a,
        b=b,
        blocks=len(blocks),
        ratio=math.exp(middle),
        low=None if low is None else math.exp(low),
        high=None if high is None else math.exp(high),
        less=less,
        accuracy_difference=difference,
        accuracy_low=ends[0],
        accuracy_high=ends[1],
    )


def _logs(runs: Runs) -> dict[int, float]:
    """The logarithm of each run's joules, by block."""
    return {run.block: math.log(run.energy_j) for run in runs if run.energy_j}


def _dominated_by(one: VariantResult, found: Sequence[VariantResult]) -> int | None:
    """Another that needs less energy on average and is at least as accurate; the cheapest."""
    if one.energy_j is None or one.test_accuracy is None:
        return None
    better = [
        (other.energy_j.mean, other.number)
        for other in found
        if other.number != one.number
        and other.energy_j is not None
        and other.test_accuracy is not None
        and other.energy_j.mean < one.energy_j.mean
        and other.test_accuracy.mean >= one.test_accuracy.mean
    ]
    return min(better)[1] if better else None


def _front(
    found: Sequence[VariantResult],
    figure: Callable[[VariantResult], Spread | None],
    *,
    more_is_better: bool,
) -> list[int]:
    """The Pareto front of mean energy and another mean, from the least energy on."""
    known = [
        (v.energy_j.mean, other.mean, v.number)
        for v in found
        if v.energy_j and (other := figure(v))
    ]
    sign = -1 if more_is_better else 1
    front, least = [], math.inf
    for _, value, number in sorted(known, key=lambda p: (p[0], sign * p[1])):
        if sign * value < least:
            front.append(number)
            least = sign * value
    return front


def _best(found: Sequence[VariantResult]) -> int | None:
    able = [v for v in found if v.energy_j is not None and v.meets_constraint is not False]
    energies = [(v.energy_j.mean, v.number) for v in able if v.energy_j is not None]
    return min(energies)[1] if energies else None


def enough(spec: ExperimentSpec, variants: Sequence[Variant], runs: Runs) -> Ended | None:
    """By what the experiment ends now; null where it goes on.

    The stop rule is looked at between blocks alone, so that no variant has more chances than
    another; a variant of which nothing succeeded is left out of it.
    """
    if all(run.status in FINAL_STATUSES for run in runs):
        return "complete"
    if _spent(spec, runs):
        return "budget"
    within = spec.stop.ratio_within
    open_blocks = [run.block for run in runs if run.status not in FINAL_STATUSES]
    done = min(open_blocks)
    if within is None or done < spec.least or _is_begun(done, runs):
        return None
    closed = [run for run in runs if run.block < done]
    found = pairs({v.number: [r for r in closed if r.variant == v.number] for v in variants})
    return "ratio_within" if found and all(_within(pair, within) for pair in found) else None


def _is_begun(block: int, runs: Runs) -> bool:
    return any(run.block >= block and run.status is not JobStatus.QUEUED for run in runs)


def _within(pair: PairResult, share: float) -> bool:
    if pair.low is None or pair.high is None:
        return False
    return pair.high <= pair.ratio * (1 + share) and pair.low >= pair.ratio * (1 - share)


def _spent(spec: ExperimentSpec, runs: Runs) -> bool:
    """Whether one of the budget's limits is reached."""
    rows = [run.row for run in runs if run.row]
    used = {
        "energy_j": math.fsum(row.energy_spent_j or 0.0 for row in rows),
        "seconds": math.fsum(row.duration_s for row in rows),
        "emissions_g": math.fsum(map(_grams, rows)),
    }
    limits = {name: getattr(spec.budget, name) for name in used}
    return any(limit is not None and used[name] >= limit for name, limit in limits.items())


def _grams(row: ReportRow) -> float:
    """CO2e of all attempts: that of the last one, by the energy of all."""
    if not row.co2e_g or not row.energy_total_j:
        return 0.0
    return row.co2e_g * (row.energy_spent_j or row.energy_total_j) / row.energy_total_j
