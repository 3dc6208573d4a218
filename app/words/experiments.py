"""An experiment in words: the answer first, then what it rests on."""

from collections.abc import Iterator, Sequence

from app.domain.experiments import Experiment, ExperimentResult, ExperimentSpec, PairResult
from app.domain.jobs import FINAL_STATUSES
from app.domain.readings import Method
from app.domain.report_rows import ReportRow
from app.words.units import per_cent, quantity, significant

SAME_ACCURACY = 0.01  # a smaller difference of means is no news, where its interval holds 0
ENDED = {
    "complete": "every job has ended",
    "ratio_within": "the ratios are known as well as was asked for",
    "budget": "its budget is used up",
    "cancelled": "it was cancelled",
}


def standing(experiment: Experiment) -> str:
    """Where it stands: `running, 7 of 20 jobs have ended`."""
    ended = sum(n for status, n in experiment.jobs.items() if status in FINAL_STATUSES)
    jobs = f"{ended} of {sum(experiment.jobs.values())} jobs have ended"
    if experiment.ended is None:
        return f"{'running' if ended else 'begun'}, {jobs}"
    return f"ended, since {ENDED[experiment.ended]}; {jobs}"


def sentences(
    spec: ExperimentSpec, found: ExperimentResult, rows: Sequence[ReportRow]
) -> Iterator[str]:
    """What it says, the answer first.

    Args:
        spec: what was asked for.
        found: what is known.
        rows: of its jobs that are final.
    """
    yield _answer(found)
    if (wanted := spec.constraint.min_accuracy) is not None:
        yield _constraint(found, wanted)
    dominated = [v for v in found.variants if v.dominated_by is not None]
    if dominated:
        names = "; ".join(v.label for v in dominated)
        yield (
            f"{len(dominated)} of {len(found.variants)} variants need more energy on average than "
            f"another that is at least as accurate ({names}): they cost "
            f"{quantity(found.dominated_j, 'J')}."
        )
    failed = [f"{v.failed} of {v.label}" for v in found.variants if v.failed]
    if failed:
        yield f"Runs that did not succeed are left out: {', '.join(failed)}."
    known = [row for row in rows if row.energy_total_j is not None]
    if known and not any(map(_measured, known)):
        yield (
            "No sensor measured: at the same load a model's energy follows the duration, "
            "so that this compares durations more than powers."
        )
    if len({row.host for row in known}) > 1:
        yield "The jobs ran on several hosts: a difference may be the hosts', not the variants'."


def _measured(row: ReportRow) -> bool:
    """Whether a sensor counted a component of it."""
    return Method.MEASURED in {row.energy_cpu_method, row.energy_gpu_method, row.energy_ram_method}


def _answer(found: ExperimentResult) -> str:
    if found.best is None:
        measured = any(v.energy_j for v in found.variants)
        return (
            "No variant meets the constraint, so that none is advised."
            if measured
            else "Nothing is known yet: no run has succeeded."
        )
    best, pair = found.variants[found.best], _headline(found)
    if pair is None:
        used = quantity(best.energy_j.mean if best.energy_j else None, "J")
        return f"{best.label} uses {used} on average; nothing else can be compared with it yet."
    other = found.variants[pair.a if pair.b == found.best else pair.b]
    return f"{_ratio(pair, found.best, best.label, other.label)}{_accuracy(pair, found.best)}."


def _headline(found: ExperimentResult) -> PairResult | None:
    """The best against the first variant; where the best is that one, against the next best."""
    means = sorted((v.energy_j.mean, v.number) for v in found.variants if v.energy_j)
    others = [number for _, number in means if number != found.best]
    if not others or found.best is None:
        return None
    other = 0 if found.best != 0 and 0 in others else others[0]
    wanted = {found.best, other}
    return next((pair for pair in found.pairs if {pair.a, pair.b} == wanted), None)


def _ratio(pair: PairResult, best: int, name: str, other: str) -> str:
    ratio, low, high = pair.ratio, pair.low, pair.high
    if pair.a == best:
        ratio = 1 / ratio
        low, high = (None, None) if low is None or high is None else (1 / high, 1 / low)
    if low is None or high is None:
        return (
            f"{name} used {significant(ratio)} times the energy of {other}, which one run each "
            "does not make sure"
        )
    if pair.less is None:
        return (
            f"No difference in energy can be told between {name} and {other} "
            f"({_change(low)} to {_change(high)})"
        )
    if ratio < 1:
        span = f"{100 * (1 - high):.3g}–{100 * (1 - low):.3g} %"
        return f"{name} uses {100 * (1 - ratio):.3g} % less energy than {other} ({span})"
    span = f"{100 * (low - 1):.3g}–{100 * (high - 1):.3g} %"
    return f"{name} uses {100 * (ratio - 1):.3g} % more energy than {other} ({span})"


def _change(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.3g} %"


def _accuracy(pair: PairResult, best: int) -> str:
    """At which accuracy, in a clause."""
    difference, low, high = pair.accuracy_difference, pair.accuracy_low, pair.accuracy_high
    if difference is None:
        return ""
    if pair.a == best:
        difference = -difference
        low, high = (None, None) if low is None or high is None else (-high, -low)
    unsure = low is None or high is None or low <= 0 <= high
    if unsure and abs(difference) < SAME_ACCURACY:
        return " at the same accuracy"
    more = "higher" if difference > 0 else "lower"
    sure = ", which the runs do not make sure" if unsure else ""
    return f" at {100 * abs(difference):.2g} points {more} accuracy{sure}"


def _constraint(found: ExperimentResult, wanted: float) -> str:
    known = [v for v in found.variants if v.test_accuracy is not None]
    able = [v for v in known if v.meets_constraint]
    if able or not known:
        return f"{len(able)} of {len(found.variants)} variants reach an accuracy of {wanted:g}."
    closest = max(known, key=lambda v: v.test_accuracy.mean if v.test_accuracy else 0.0)
    reached = per_cent(closest.test_accuracy.mean if closest.test_accuracy else None)
    return (
        f"No variant reaches an accuracy of {wanted:g}: the closest is {closest.label} "
        f"with {reached}."
    )
