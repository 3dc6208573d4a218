"""The energy report and its parts: what was measured, estimated and assumed, with intervals."""

from datetime import datetime
from typing import Literal

from app.domain.jobs import JobStatus
from app.domain.quantities import Frozen
from app.domain.readings import Method, Phase

Grade = Literal["A", "B", "C", "D", "E", "F"]
StoppedBy = Literal["epochs", "target_accuracy", "early_stopping"]


class Correction(Frozen):
    """A named deviation from codecarbon's reading, as a factor on its joules."""

    name: str
    factor: float
    message: str


class ExcludedModel(Frozen):
    """A published model that was left out of the interval, and why."""

    name: str
    energy_j: float
    message: str


class ModelFigure(Frozen):
    """What one published model gives for a component; the envelope of all is the interval."""

    energy_j: float | None  # null where it states a range alone
    low_j: float
    high_j: float


class Component(Frozen):
    """The energy of one component; null where it is absent or unavailable, never 0 for that."""

    energy_j: float | None
    low_j: float | None
    high_j: float | None
    interval: Literal["published_models", "sensor_error"] | None
    method: Method
    source: str | None
    reason: str | None = None
    corrections: tuple[Correction, ...] = ()
    models: dict[str, ModelFigure] = {}  # the published models that make the interval
    excluded: tuple[ExcludedModel, ...] = ()


class Baseline(Frozen):
    """What the host would have used in the same time without the job.

    `measured` where every sensor was read over an idle window; flat powers, as of the RAM, are in
    it as they are in the total, and cancel in the net energy.
    """

    power_w: float | None
    energy_j: float | None
    method: Method
    window_s: float | None
    taken_at: datetime | None = None  # UTC, the end of the window
    others_share: float | None = None  # of the host's CPU time in the window, of other programs
    service_share: float | None = None  # and of this service
    gpu_utilization: float | None = None  # of the GPUs' time in the window, whoever used them


class Wall(Frozen):
    """Energy at the plug, from the components: power supply, fans and the rest on top."""

    energy_j: float | None
    low_j: float | None
    high_j: float | None
    method: Method


class Energy(Frozen):
    """The energy of the attempt that the report is of, by component, gross and net."""

    boundary: Literal["components"] = "components"
    complete: bool  # false: a component exists and could not be read, the total is a lower bound
    cpu: Component
    gpu: Component
    ram: Component
    total_j: float | None
    total_kwh: float | None
    low_j: float | None
    high_j: float | None
    baseline: Baseline
    net_j: float | None
    net_low_j: float | None = None
    net_high_j: float | None = None
    wall: Wall
    spent_j: float | None  # all attempts together


class StockCodecarbon(Frozen):
    """What codecarbon's own accounting gives for the window, without our corrections."""

    cpu_kwh: float | None
    ram_kwh: float | None
    gpu_kwh: float | None
    total_kwh: float | None
    emissions_kg: float | None


class Emissions(Frozen):
    """Grams of CO2e = total × PUE × intensity; null with a reason where no country is known."""

    co2e_g: float | None
    low_g: float | None
    high_g: float | None
    intensity_g_per_kwh: float | None
    intensity_source: str | None
    intensity_year: int | None
    country_iso_code: str | None
    region: str | None
    pue: float
    reason: str | None


class PhaseReport(Frozen):
    """One phase: when, how long, its energy, and what the training achieved in it."""

    name: Phase
    index: int | None
    start_s: float
    duration_s: float
    energy_j: float | None
    samples: int | None
    loss: float | None
    train_accuracy: float | None
    validation_accuracy: float | None


class PowerSeries(Frozen):
    """Mean power of each component between two readings; `t_s` is where the interval begins."""

    t_s: tuple[float, ...]
    cpu_w: tuple[float | None, ...]
    gpu_w: tuple[float | None, ...]
    ram_w: tuple[float | None, ...]


class Work(Frozen):
    """What was computed: model scale, samples and FLOPs of the finished training phases."""

    parameters: int | None
    layers: int | None
    flops_per_sample: int | None
    flops_reason: str | None = None  # why no FLOPs are stated
    parameters_reason: str | None = None
    samples: int
    flops: int | None
    training_s: float
    achieved_flops_per_s: float | None
    matmul_flops_per_s: float | None = None  # the host's peak, in the precision of the run
    matmul_share: float | None = None  # achieved over that peak


class Quality(Frozen):
    """What the training achieved: on the test set, and the best epoch by validation accuracy."""

    test_accuracy: float | None
    test_loss: float | None
    best_epoch: int | None
    target_reached: bool | None = None  # whether an epoch validated at `target_accuracy`
    stopped_by: StoppedBy | None = None  # by what the training ended; null where it was cut off
    best_validation_accuracy: float | None = None  # of the best epoch, however the job ended


class Efficiency(Frozen):
    """Energy against work, over the training phases alone."""

    training_j: float | None
    j_per_sample: float | None
    j_per_epoch: float | None
    flops_per_j: float | None
    j_to_target: float | None
    j_after_best_epoch: float | None


class TrustReason(Frozen):
    """Why a figure is less sure than it could be: a stable code and a sentence."""

    code: str
    message: str


class Trust(Frozen):
    """The grade from A to F with its reasons, and the conditions of the run."""

    grade: Grade
    reasons: tuple[TrustReason, ...]
    contention_share: float | None  # CPU-seconds of others over the host's CPU-seconds
    steal_s: float | None
    largest_sample_gap_s: float | None
    instrument_cpu_s: float | None  # CPU-seconds of the worker's whole process
    instrument_j: float | None = None  # the CPU's energy by their share of all CPU-seconds
    service_share: float | None = None  # CPU-seconds of API, database and worker over the host's
    others_over_job: float | None = None  # CPU-seconds of others over those of the job
    waited_for_quiet_s: float | None = None  # before the run, outside of its duration
    quiet_at_start: bool | None = None  # whether the host was quiet when the run began
    swapped_mib: float | None = None  # by the host during the run, in and out
    temperature_drift_c: float | None = None  # CPU's or GPU's, after the first minute
    governor: str | None = None  # of the CPU's frequency, when the run began


class AttemptEnergy(Frozen):
    """How an attempt of the job ended, and what it used."""

    attempt: int
    ended: str  # a final status, or `lost` (its worker vanished), or `stopped` (put back)
    energy_j: float | None


class Environment(Frozen):
    """Where the run took place."""

    host: str
    cpu_model: str | None
    cpu_generation: str | None
    logical_cpus: int
    host_cpus: int | None = None  # online on the host; shares are of their time
    memory_gib: float
    gpus: tuple[str, ...]
    os: str
    python: str
    tensorflow: str | None
    codecarbon: str
    threads: int | None
    sample_interval_s: float | None = None  # between readings, as they were asked for
    execution: dict[str, str | int | bool] = {}  # what each `auto` of the spec became


class Assumptions(Frozen):
    """The set of constants that the estimates rest on."""

    set: str
    version: str
    overrides: dict[str, float | int | bool | str]  # what a user knew better, by setting


class Trained(Frozen):
    """What was trained, in short; the job has the whole spec."""

    model_type: str
    model_name: str | None  # of a user's own model, as its architecture has it
    size: str | None  # a name, or width=1.5,depth=2; null for a user's own model
    # Of a training that ran outside of the service null where nothing was said.
    dataset: str | None
    dataset_samples: int | None  # null: all
    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    seed: int | None


class EnergyReport(Frozen):
    """The energy report of a job; every quantity carries its unit in its name."""

    schema_version: Literal[1] = 1
    job_id: str
    status: JobStatus
    spec_sha256: str
    trained: Trained | None = None  # null in reports from before this was added
    started_at: datetime | None
    finished_at: datetime | None
    duration_s: float
    mean_power_w: float | None
    energy: Energy
    stock_codecarbon: StockCodecarbon
    emissions: Emissions
    phases: tuple[PhaseReport, ...]
    power: PowerSeries
    work: Work
    quality: Quality
    efficiency: Efficiency
    trust: Trust
    attempts: tuple[AttemptEnergy, ...]
    environment: Environment | None
    assumptions: Assumptions
    readings_sha256: str | None
