"""A report as one flat row, for tables: every column by itself, always in this order."""

from datetime import datetime
from typing import Literal

from app.domain.jobs import JobStatus
from app.domain.quantities import Frozen
from app.domain.readings import Method
from app.domain.reports import Grade

# What rows can be sorted by, each with an index; with `-` the largest or newest come first.
ReportSort = Literal[
    "finished_at",
    "-finished_at",
    "energy_total_j",
    "-energy_total_j",
    "co2e_g",
    "-co2e_g",
    "test_accuracy",
    "-test_accuracy",
    "j_per_sample",
    "-j_per_sample",
]
NEWEST_FIRST: ReportSort = "-finished_at"


class ReportRow(Frozen):
    """What most people compare, without nesting; columns are only ever added, at the end.

    Named as in the report where a name is clear by itself; energies say of what they are.
    """

    job_id: str
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    host: str | None
    attempts: int
    # what was asked for
    model_type: str
    size: str | None  # a name, or width=1.5,depth=2; null for a user's own model
    # null where nothing was said of a training that ran outside of the service
    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    seed: int | None
    dataset: str | None
    dataset_samples: int | None  # null: all
    precision: str | None
    tags: str  # a JSON object
    spec_sha256: str
    # what it cost
    duration_s: float
    mean_power_w: float | None
    energy_cpu_j: float | None
    energy_cpu_low_j: float | None
    energy_cpu_high_j: float | None
    energy_cpu_method: Method
    energy_gpu_j: float | None
    energy_gpu_low_j: float | None
    energy_gpu_high_j: float | None
    energy_gpu_method: Method
    energy_ram_j: float | None
    energy_ram_low_j: float | None
    energy_ram_high_j: float | None
    energy_ram_method: Method
    energy_total_j: float | None
    energy_total_low_j: float | None
    energy_total_high_j: float | None
    complete: bool
    energy_baseline_j: float | None
    energy_net_j: float | None
    energy_wall_j: float | None
    energy_wall_low_j: float | None
    energy_wall_high_j: float | None
    energy_spent_j: float | None  # all attempts
    codecarbon_kwh: float | None
    co2e_g: float | None
    co2e_low_g: float | None
    co2e_high_g: float | None
    intensity_g_per_kwh: float | None
    country_iso_code: str | None
    region: str | None
    pue: float
    # what it achieved
    parameters: int | None
    layers: int | None
    flops_per_sample: int | None
    samples: int
    flops: int | None
    training_s: float
    achieved_flops_per_s: float | None
    test_accuracy: float | None
    test_loss: float | None
    best_epoch: int | None
    training_j: float | None
    j_per_sample: float | None
    j_per_epoch: float | None
    flops_per_j: float | None
    j_to_target: float | None
    j_after_best_epoch: float | None
    # how sure that is
    grade: Grade
    reasons: str  # codes, parted by spaces
    contention_share: float | None
    steal_s: float | None
    threads: int | None
    assumptions: str
    readings_sha256: str | None
    # what was aimed for
    target_accuracy: float | None
    target_reached: bool | None  # null: no target was asked for
    # how it was run, and further conditions
    model_name: str | None = None  # of a user's own model
    label_noise: float | None = None
    execution_mode: str | None = None
    execution_precision: str | None = None  # what was used; `precision` is what was asked for
    execution_jit_compile: bool | None = None
    execution_steps_per_execution: int | None = None
    execution_input_pipeline: str | None = None
    matmul_share: float | None = None
    stopped_by: str | None = None
    energy_net_low_j: float | None = None
    energy_net_high_j: float | None = None
    service_share: float | None = None
    waited_for_quiet_s: float | None = None
    overrides: str | None = None  # a JSON object
    best_validation_accuracy: float | None = None
