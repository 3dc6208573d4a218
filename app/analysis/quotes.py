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

ENOUGH = 10  # like jobs: with fewer the 90 % interval of jackknife+ has no ends
REPEATS = 3  # runs of the same work that are enough by themselves
MOST = 60  # like jobs that a prediction is made from, those whose work is nearest
FORWARD = 1 / 3  # of a training step's FLOPs: backward has twice the products of forward
PILOT_STEPS = 20  # of each of its epochs
PILOT_EPOCHS = 2  # the first one has what is done once
PILOT_RATIOS = (0.45, 1.22)  # of what was measured to what pilots said: 90 % of 44 real jobs

Ends = tuple[float, float, float]  # what is expected, the low end, the high end


def work(spec: JobSpec, facts: WorkloadFacts) -> Work:
    """The work of a job that runs through all of its epochs."""
    samples = facts.training_samples * spec.epochs
    scored = facts.validation_samples * spec.epochs + facts.test_samples
    return Work(
        model_type=spec.model_type,
        size=spec.size_name,
        dataset=spec.dataset.name,
        execution=spec.execution,
        layers=facts.layers or 0,
        parameters=facts.parameters,
        flops_per_sample=facts.flops_per_sample,
        epochs=spec.epochs,
        steps=-(-facts.training_samples // spec.batch_size) * spec.epochs,
        samples=samples,
        passes=samples + FORWARD * scored,
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
            "passes": planned.passes * share,
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
    FLOP), each job weighted by its relative error, with the jackknife+ interval on the ratios
    (Barber, Candès, Ramdas & Tibshirani, Annals of Statistics 49 (2021), 486-507): wherever the
    jobs come in no order, it holds the next one in at least 80 % of cases, about 90 % as a rule.

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
    """What is paid for: once, a layer, an epoch, a step, a layer of a step, a FLOP."""
    flops = one.passes * (one.flops_per_sample or 1)
    layers = max(1, one.layers)
    return [1.0, layers, one.epochs, one.steps, one.steps * layers, flops]


def _alike(wanted: Work, past: Sequence[Past]) -> list[Past]:
    """Like jobs, those whose work is nearest by the logarithms of its parts.

    Those that were run in another way count too where too few were run in the same one.
    """
    alike = [one for one in past if like(wanted, one.work)]
    same_way = [one for one in alike if one.work.execution == wanted.execution]
    alike = same_way if len(same_way) >= ENOUGH else alike
    return sorted(alike, key=lambda one: _distance(wanted, one.work))[:MOST]


def _distance(one: Work, other: Work) -> float:
    parts = zip(_costs(one)[1:], _costs(other)[1:], strict=True)
    return sum(math.log((1 + a) / (1 + b)) ** 2 for a, b in parts)


def _fitted(rows: Sequence[Sequence[float]], values: Sequence[float], new: Sequence[float]) -> Ends:
    import numpy as np

    scaled = np.array(rows) / np.array(values)[:, None]
    expected = float(np.array(new) @ _weights(scaled))
    low, high = [], []
    for left_out in range(len(values)):
        weights = _weights(np.delete(scaled, left_out, axis=0))
        middle = math.log(np.array(new) @ weights)
        off = abs(math.log(scaled[left_out] @ weights))
        low.append(middle - off)
        high.append(middle + off)
    place = math.ceil(CONFIDENCE * (len(values) + 1)) - 1
    lowest, highest = sorted(low, reverse=True)[place], sorted(high)[place]
    return expected, min(expected, math.exp(lowest)), max(expected, math.exp(highest))


def _weights(scaled: "Floats") -> "Floats":
    """Non-negative costs whose sums are nearest to 1, in units of what each job came to."""
    import numpy as np
    from scipy.optimize import nnls

    size = np.abs(scaled).max(axis=0)
    size[size == 0] = 1.0
    found, _ = nnls(scaled / size, np.ones(len(scaled)))
    weights: Floats = found / size
    return weights


def pilot_spec(spec: JobSpec, facts: WorkloadFacts) -> JobSpec:
    """The same training over a few steps: two epochs on a part of the data, without its limits."""
    data = spec.dataset
    least = data.uploaded.min_training_samples if data.uploaded else facts.classes
    few = min(facts.training_samples, max(PILOT_STEPS * spec.batch_size, facts.classes, least))
    return spec.model_copy(
        update={
            "epochs": PILOT_EPOCHS,
            "dataset": data.model_copy(update={"samples": few}),
            "target_accuracy": None,
            "early_stopping": None,
            "limits": Limits(timeout_s=spec.limits.timeout_s),
            "tags": {"quote": "pilot"},
            "experiment_id": None,
        }
    )


def from_pilot(wanted: Work, pilot: EnergyReport) -> Predicted | None:
    """What a training will cost, from its pilot's phases; null where one has no energy.

    What is done once is taken as it is, with the first epoch's excess over the second; the second
    epoch is stretched to the samples of all epochs, its validation to their number. The interval is
    that of the errors of such predictions that were measured (`bench/results/quotes.json`).
    """
    phases = [phase for phase in pilot.phases if phase.energy_j is not None]
    if len(phases) < len(pilot.phases):
        return None
    energy_j = _stretched(wanted, phases, lambda phase: phase.energy_j or 0.0)
    duration_s = _stretched(wanted, phases, lambda phase: phase.duration_s)
    if energy_j is None or duration_s is None:
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
        energy_error=median(map(abs, energy)),
        energy_bias=median(energy),
        energy_coverage=fmean(energy_held),
        duration_error=median(map(abs, seconds)),
        duration_bias=median(seconds),
        duration_coverage=fmean(seconds_held),
    )
