"""What a job will cost, from jobs like it on the same host, or from a pilot of a few steps."""

import math
from collections.abc import Callable, Sequence
from statistics import fmean, median
from typing import TYPE_CHECKING

from app.analysis.intervals import of_next
from app.domain.quotes import CONFIDENCE, Basis, Past, Predicted, QuoteRecord, Track, Work
from app.domain.readings import Phase
from app.domain.reports import EnergyReport, PhaseReport
from app.domain.specs import OWN_MODEL, JobSpec, Limits, WorkloadFacts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ENOUGH = 10  # like jobs; with fewer than 9 the 90 % interval of jackknife+ has no ends
REPEATS = 3  # runs of the same work that are enough by themselves
REWEIGHTED = 3  # times a fit is weighted anew; further ones move figures by less than a per cent
MOST = 60  # like jobs that a prediction is made from, those whose work is nearest
NEAR = 30  # times less or more arithmetic, and steps, that a like job may have
REACH = 2  # times the largest of the like jobs, in each part, to which a fit is trusted
FORWARD = 1 / 3  # of a training step's FLOPs: backward has twice the products of forward
PILOT_STEPS = 20  # of each of its epochs
PILOT_EPOCHS = 2  # the first one has what is done once
PILOT_RATIOS = (0.74, 1.34)  # the ends of what came over what 35 pilots said
WORTH = 2  # times the samples of its pilot that a job must have for it to be worth it

Ends = tuple[float, float, float]  # what is expected, the low end, the high end


def work(spec: JobSpec, facts: WorkloadFacts) -> Work:
    """The work of a job that runs through all of its epochs."""
    samples = facts.training_samples * spec.epochs
    scored = facts.validation_samples * spec.epochs + facts.test_samples
    return Work(
        model_type=spec.model_type,
        size=spec.size_name,
        dataset=spec.dataset.name,
        shape=facts.input_shape,
        classes=facts.classes,
        batch_size=spec.batch_size,
        execution=spec.execution,
        layers=facts.layers or 0,
        parameters=facts.parameters,
        flops_per_sample=facts.flops_per_sample,
        epochs=spec.epochs,
        steps=-(-facts.training_samples // spec.batch_size) * spec.epochs,
        samples=samples,
        training_equivalent_samples=samples + FORWARD * scored,
    )


def done(planned: Work, samples: int) -> Work:
    """The part of a planned work that was done, by the samples that were trained on."""
    if samples >= planned.samples:
        return planned
    share = samples / planned.samples
    return planned.model_copy(
        update={
            "epochs": max(1, round(planned.epochs * share)),
            "steps": max(1, round(planned.steps * share)),
            "samples": samples,
            "training_equivalent_samples": planned.training_equivalent_samples * share,
        }
    )


def like(one: Work, other: Work) -> bool:
    """Whether a job's cost says something of another's: they are of the same family.

    Users' own models are alike where they are the same model; families without FLOPs where they
    are of the same size.
    """
    if one.model_type != other.model_type:
        return False
    if one.model_type == OWN_MODEL:
        return _model(one) == _model(other)
    return one.flops_per_sample is not None or one.size == other.size


def _model(one: Work) -> tuple[int, int | None, int | None]:
    return one.layers, one.parameters, one.flops_per_sample


def predict(wanted: Work, past: Sequence[Past]) -> tuple[Basis, int, Predicted] | None:
    """What a training will cost, from those that ran on one host.

    Runs of the same work are repeats: their geometric mean, with Student's prediction interval for
    one more. Else a least-squares fit of non-negative costs (once, a layer, an epoch, a step, a
    FLOP) to relative errors, with the jackknife+ interval on the ratios (Barber, Candès, Ramdas &
    Tibshirani, Annals of Statistics 49 (2021), 486-507). It holds the next job in about 90 % of
    cases; its guarantee, 80 %, is for jobs that come in no order, and is lost where those whose
    work is nearest are picked out of more.

    Args:
        wanted: the work to predict.
        past: jobs that ran through, on the same host.

    Returns:
        From what it is, from how many jobs, and the figures; null where there are too few.
    """
    same = [one for one in past if one.work == wanted]
    if len(same) >= REPEATS:
        return "same_work", len(same), _predicted(same, _of_repeats)
    alike = _alike(wanted, past)
    if len(alike) < ENOUGH:
        return None
    rows, new = [_costs(one.work) for one in alike], _costs(wanted)
    return "like_jobs", len(alike), _predicted(alike, lambda values: _fitted(rows, values, new))


def _predicted(past: Sequence[Past], of: Callable[[list[float]], Ends]) -> Predicted:
    energy, low_j, high_j = of([one.energy_j for one in past])
    seconds, low_s, high_s = of([one.duration_s for one in past])
    return Predicted(
        energy_j=energy,
        energy_low_j=low_j,
        energy_high_j=high_j,
        duration_s=seconds,
        duration_low_s=low_s,
        duration_high_s=high_s,
    )


def _of_repeats(values: Sequence[float]) -> Ends:
    logs = [math.log(value) for value in values]
    low, high = of_next(logs, CONFIDENCE)
    return math.exp(fmean(logs)), math.exp(low), math.exp(high)


def _costs(one: Work) -> list[float]:
    """What is paid for: once, a layer, an epoch, a step, a layer of a step, a FLOP.

    Where FLOPs are not defined, the features of the samples stand for them.
    """
    arithmetic = one.training_equivalent_samples * (one.flops_per_sample or math.prod(one.shape))
    layers = max(1, one.layers)
    return [1.0, layers, one.epochs, one.steps, one.steps * layers, arithmetic]


def _alike(wanted: Work, past: Sequence[Past]) -> list[Past]:
    """Like jobs, those whose work is nearest by the logarithms of its parts.

    Those that were run in another way count too where too few were run in the same one. None where
    the wanted work lies beyond all of them: what costs nothing in small jobs is not known of.
    """
    new = _costs(wanted)
    near = [one for one in past if like(wanted, one.work) and _is_near(new, _costs(one.work))]
    same_way = [one for one in near if one.work.execution == wanted.execution]
    near = same_way if len(same_way) >= ENOUGH else near
    near = sorted(near, key=lambda one: _distance(wanted, one.work))[:MOST]
    largest = [max(costs) for costs in zip(*(_costs(one.work) for one in near), strict=True)]
    beyond = any(cost > REACH * most for cost, most in zip(new, largest, strict=False))
    return [] if beyond else near


def _is_near(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether steps and arithmetic are of the same order."""
    return all(1 / NEAR <= a / b <= NEAR for a, b in ((one[3], other[3]), (one[5], other[5])))


def _distance(one: Work, other: Work) -> float:
    parts = zip(_costs(one)[1:], _costs(other)[1:], strict=True)
    return sum(math.log((1 + a) / (1 + b)) ** 2 for a, b in parts)


def _fitted(rows: Sequence[Sequence[float]], values: Sequence[float], new: Sequence[float]) -> Ends:
    """The jackknife+ interval at 90 %, around the fit of all."""
    import numpy as np

    works, came, wanted = np.array(rows), np.array(values), np.array(new)
    expected = float(wanted @ _weights(works, came))
    low, high = [], []
    for left_out in range(len(values)):
        weights = _weights(np.delete(works, left_out, axis=0), np.delete(came, left_out))
        middle = math.log(wanted @ weights)
        off = abs(math.log(works[left_out] @ weights / came[left_out]))
        low.append(middle - off)
        high.append(middle + off)
    place = math.ceil(CONFIDENCE * (len(values) + 1)) - 1
    lowest, highest = sorted(low, reverse=True)[place], sorted(high)[place]
    return expected, min(expected, math.exp(lowest)), max(expected, math.exp(highest))


def _weights(works: "Floats", came: "Floats") -> "Floats":
    """Non-negative costs whose sums come nearest to what came, relative to what they expect.

    Relative to what came, they would be too low: a job that came out low would weigh more.
    """
    import numpy as np
    from scipy.optimize import nnls

    size = works.max(axis=0)
    weights: Floats = np.ones(0)
    expected = came
    for _ in range(REWEIGHTED):
        found, _ = nnls(works / size / expected[:, None], came / expected)
        weights = found / size
        expected = works @ weights
    return weights


def pilot_spec(spec: JobSpec, facts: WorkloadFacts) -> JobSpec | None:
    """The same training over a few steps: two epochs on a part of the data, without its limits.

    What does not change its cost is not taken over, so that one pilot serves for all such specs.

    Returns:
        Null where a pilot would tell nothing: the family has no steps, or the job is hardly longer.
    """
    data = spec.dataset
    least = data.uploaded.min_training_samples if data.uploaded else facts.classes
    few = min(facts.training_samples, max(PILOT_STEPS * spec.batch_size, facts.classes, least))
    if facts.flops_per_sample is None:
        return None
    if facts.training_samples * spec.epochs < WORTH * PILOT_EPOCHS * few:
        return None
    return spec.model_copy(
        update={
            "epochs": PILOT_EPOCHS,
            "dataset": data.model_copy(update={"samples": few}),
            "seed": 0,
            "target_accuracy": None,
            "early_stopping": None,
            "limits": Limits(),
            "tags": {"quote": "pilot"},
            "experiment_id": None,
        }
    )


def from_pilot(wanted: Work, pilot: EnergyReport) -> Predicted | None:
    """What a training will cost, from its pilot's phases; null where one has no energy.

    What is done once is taken as it is, with the first epoch's excess over the second; the second
    epoch is stretched to the samples of all epochs, its validation to their number. The interval is
    conformal (Lei, G'Sell, Rinaldo, Tibshirani & Wasserman, Journal of the American Statistical
    Association 113 (2018), 1094-1111): the errors of 35 pilots of jobs with up to 12 times their
    samples (`bench/results/quotes.json`).
    """
    phases = [phase for phase in pilot.phases if phase.energy_j is not None]
    if len(phases) < len(pilot.phases):
        return None
    energy_j = _stretched(wanted, phases, lambda phase: phase.energy_j or 0.0)
    duration_s = _stretched(wanted, phases, lambda phase: phase.duration_s)
    if not energy_j or not duration_s:
        return None
    return by_pilot(energy_j, duration_s)


def by_pilot(energy_j: float, duration_s: float) -> Predicted:
    """What a pilot says, with the interval that pilots have."""
    low, high = PILOT_RATIOS
    return Predicted(
        energy_j=energy_j,
        energy_low_j=low * energy_j,
        energy_high_j=high * energy_j,
        duration_s=duration_s,
        duration_low_s=low * duration_s,
        duration_high_s=high * duration_s,
    )


def _stretched(
    wanted: Work, phases: Sequence[PhaseReport], of: Callable[[PhaseReport], float]
) -> float | None:
    epochs = [phase for phase in phases if phase.name is Phase.EPOCH]
    if len(epochs) < PILOT_EPOCHS or not epochs[-1].samples:
        return None
    scored = [of(phase) for phase in phases if phase.name is Phase.VALIDATION]
    once = sum(of(p) for p in phases if p.name not in {Phase.EPOCH, Phase.VALIDATION})
    first, second = of(epochs[0]), of(epochs[-1])
    trained = second * wanted.samples / epochs[-1].samples
    validated = wanted.epochs * scored[-1] if scored else 0.0
    return once + max(0.0, first - second) + trained + validated


def track(
    records: Sequence[QuoteRecord], *, host: str | None = None, model_type: str | None = None
) -> Track:
    """How these quotes have held.

    Raises:
        ValueError: there is none.
    """
    if not records:
        raise ValueError("expected quotes of jobs that have run, received none")
    energy = [one.quoted_j / one.energy_j - 1 for one in records]
    seconds = [one.quoted_s / one.duration_s - 1 for one in records]
    energy_held = [one.low_j <= one.energy_j <= one.high_j for one in records]
    seconds_held = [one.low_s <= one.duration_s <= one.high_s for one in records]
    return Track(
        host=host,
        model_type=model_type,
        jobs=len(records),
        energy_error_median=median(map(abs, energy)),
        energy_bias_median=median(energy),
        energy_coverage=fmean(energy_held),
        duration_error_median=median(map(abs, seconds)),
        duration_bias_median=median(seconds),
        duration_coverage=fmean(seconds_held),
    )
