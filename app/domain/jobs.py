"""A job, its status with the legal transitions, and its progress."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from app.domain.external import EXTERNAL, Asked, ExternalTraining
from app.domain.quantities import Frozen
from app.domain.quotes import Quote
from app.domain.specs import JobSpec


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"  # waits for a worker
    RUNNING = "running"  # a worker measures it
    SUCCEEDED = "succeeded"  # trained to the end
    FAILED = "failed"  # ended by an error, named in `error`
    CANCELLED = "cancelled"  # ended by its user
    TIMED_OUT = "timed_out"  # ended by `limits.timeout_s`
    BUDGET_EXHAUSTED = "budget_exhausted"  # ended by `limits.energy_j` or `limits.emissions_g`

    @property
    def final(self) -> bool:
        """Whether nothing can happen to the job any more."""
        return not TRANSITIONS[self]


FINAL_STATUSES = frozenset(JobStatus) - {JobStatus.QUEUED, JobStatus.RUNNING}

TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    # a queued job fails without running only where its attempts are used up
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.CANCELLED, JobStatus.FAILED}),
    # a running job goes back to the queue where its worker was lost or stopped
    JobStatus.RUNNING: FINAL_STATUSES | {JobStatus.QUEUED},
    **{status: frozenset() for status in FINAL_STATUSES},
}


class Stage(StrEnum):
    """What a running job does."""

    WAITING_FOR_QUIET = "waiting_for_quiet"  # the host is busy with other things
    STARTING = "starting"  # the training process is made
    SETUP = "setup"  # data are loaded, the model is built and traced
    TRAINING = "training"  # epochs, with their validation
    EVALUATING = "evaluating"  # the test set


class Progress(Frozen):
    """How far a training is: finished epochs of all, finished steps of this epoch, time left."""

    epoch: int
    epochs: int
    step: int
    steps: int
    eta_s: float | None = None


class JobError(Frozen):
    """Why a job did not succeed: a stable code and a sentence."""

    code: str
    message: str


class JobFilter(Frozen):
    """Which jobs are meant: those that match all that is given; null matches every one."""

    status: JobStatus | None = None
    model_type: str | None = None
    host: str | None = None
    tag: tuple[str, str] | None = None  # a key and its value
    experiment: str | None = None  # its identifier


EVERY_JOB = JobFilter()


class Job(Frozen):
    """What users see of a job. Times are in UTC; `attempt` is 0 until a worker takes it.

    A training that ran outside of the service has no spec; `external` is what was told of it.
    """

    id: str
    status: JobStatus
    stage: Stage | None
    spec: JobSpec | None
    spec_sha256: str
    progress: Progress | None
    queue_position: int | None
    host: str | None
    attempt: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: JobError | None
    external: ExternalTraining | None = None
    variant: int | None = None  # of the experiment that the spec names, from 0
    block: int | None = None  # the repeat, from 0
    quote: Quote | None = None  # of what it was expected to cost, when it was queued

    @property
    def asked(self) -> Asked:
        """What was trained, wherever that was."""
        return self.external or self.to_train

    @property
    def to_train(self) -> JobSpec:
        """The spec of a job that is trained here.

        Raises:
            ValueError: it ran outside of the service.
        """
        if self.spec is None:
            raise ValueError(f"expected a job with a spec, received {self.id}, which has none")
        return self.spec

    @property
    def family(self) -> str:
        """The model type of its spec, or `external`."""
        return EXTERNAL if self.spec is None else self.spec.model_type

    def public(self) -> dict[str, Any]:
        """The job as HTTP and the command line show it, with its links."""
        here = f"/v1/jobs/{self.id}"
        links = {"self": here, "report": f"{here}/report", "events": f"{here}/events"}
        return {**self.model_dump(mode="json"), "model_type": self.family, "links": links}
