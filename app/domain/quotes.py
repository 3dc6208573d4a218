"""Quotes: what a job is expected to cost before it runs, and how such figures have held."""

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from app.domain.quantities import Frozen
from app.domain.specs import Execution, JobSpec, SpecPart

Basis = Literal["same_work", "like_jobs", "pilot", "none"]
# Why a quote has no figures.
Why = Literal["no_host", "few_like_jobs", "no_pilot", "pilot_failed", "no_energy"]

CONFIDENCE = 0.9  # of the intervals: of a hundred jobs so many end between their ends


class Work(Frozen):
    """What a training does, as far as its cost follows from it; kept with each job.

    `samples` are those that are trained on, counted once an epoch; in `training_equivalent_samples`
    those that are only scored count too, for the third of a training step's FLOPs that a forward
    pass has.
    """

    model_type: str
    size: str | None
    dataset: str
    shape: tuple[int, ...]  # of a sample, as the model sees it
    classes: int
    batch_size: int
    execution: Execution  # as asked for
    layers: int
    parameters: int | None
    flops_per_sample: int | None
    epochs: int
    steps: int
    samples: int
    training_equivalent_samples: float


class Past(Frozen):
    """A job that has run: its work, and what it came to."""

    work: Work
    energy_j: float
    duration_s: float


class Predicted(Frozen):
    """Energy and duration that are expected, each with its 90 % prediction interval.

    `energy_j` is what the report is expected to say as `energy.total_j`; how far that figure may be
    from the truth is the report's own interval, and not in this one.
    """

    energy_j: float
    energy_low_j: float
    energy_high_j: float
    duration_s: float
    duration_low_s: float
    duration_high_s: float


class Quote(Frozen):
    """What a job is expected to cost on a host, and from what that is known.

    Where `basis` is `none` the figures are null, and `reason` says why. Emissions are those of the
    energy at the intensity and the PUE that the job is priced with; null where there is none. An
    early end (`target_accuracy`, `early_stopping`) is not foreseen: the figures are of all epochs.
    """

    basis: Basis
    reason: Why | None
    host: str | None
    model_type: str
    like_jobs: int  # on that host, from which the figures are, or that there are
    energy_j: float | None = None
    energy_low_j: float | None = None
    energy_high_j: float | None = None
    duration_s: float | None = None
    duration_low_s: float | None = None
    duration_high_s: float | None = None
    co2e_g: float | None = None
    co2e_low_g: float | None = None
    co2e_high_g: float | None = None
    intensity_g_per_kwh: float | None = None
    pue: float = 1.0
    pilot_job: str | None = None  # that was run for it, or is
    sentence: str = ""  # all of it in words

    @property
    def pending(self) -> bool:
        """Whether its pilot waits or runs."""
        return self.pilot_job is not None and self.reason == "few_like_jobs"


class Quoted(Frozen):
    """What is kept of a job when it is queued: its work, and its quote."""

    work: Work
    quote: Quote


class QuoteRequest(SpecPart):
    """Which job is to be quoted, where, and whether a pilot may run for it."""

    spec: JobSpec
    host: Annotated[
        str | None,
        Field(max_length=256, pattern=r"^[^\x00]+$", description="null: where it costs the least"),
    ] = None
    pilot: Annotated[bool, Field(description="run a few steps where too few jobs are like it")] = (
        False
    )


class QuoteRecord(NamedTuple):
    """A quote with what its job came to, on the host that it was of."""

    host: str
    model_type: str
    quoted_j: float
    low_j: float
    high_j: float
    energy_j: float  # measured
    quoted_s: float
    low_s: float
    high_s: float
    duration_s: float


class Track(Frozen):
    """How the quotes of some jobs have held; errors are relative to what was measured.

    `coverage` is the share of jobs that ended within their 90 % interval.
    """

    host: str | None  # null: of every host
    model_type: str | None  # null: every family
    jobs: int
    energy_error_median: float  # absolute, relative
    energy_bias_median: float  # relative; above 0 the quotes were too high
    energy_coverage: float
    duration_error_median: float
    duration_bias_median: float
    duration_coverage: float


class TrackRecord(Frozen):
    """How the quotes of the newest jobs have held; `overall` is null where there is none yet."""

    overall: Track | None
    items: tuple[Track, ...]  # by host and family
