"""How an attempt ended, from what its process said and how it went."""

import signal
from dataclasses import dataclass
from pathlib import Path

from app.domain.errors import MeterError, TrainingError
from app.domain.jobs import JobError, JobStatus
from app.worker.messages import Ended, Failure

FORK_SERVER_GONE = 255  # what multiprocessing says where nobody could wait for the process
VMSTAT = Path("/proc/vmstat")


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Why a run is ended by us: the status that it gets, and the error in words."""

    status: JobStatus
    error: JobError | None = None


def outcome(
    *, ended: Ended, failure: Failure | None, cut: Cut | None, oom_kills: int
) -> tuple[JobStatus, JobError | None]:
    """The final status and its error.

    Args:
        ended: the process is gone.
        failure: what the training raised, if it did.
        cut: why the worker ended the process, if it did.
        oom_kills: how many processes the kernel killed for memory meanwhile.
    """
    if isinstance(ended.error, MeterError) or (ended.error is not None and cut is None):
        return JobStatus.FAILED, _broken(ended.error)
    if ended.exit_code == 0:
        return JobStatus.SUCCEEDED, None
    if failure is not None:
        return JobStatus.FAILED, JobError(code=failure.code, message=failure.message)
    if cut is not None:
        return cut.status, cut.error
    return JobStatus.FAILED, _killed(ended.exit_code, oom_kills)


def _broken(error: Exception) -> JobError:
    """What the meter's thread raised: its meter, the start of the process, or a fault of ours."""
    if isinstance(error, MeterError):
        return JobError(code="meter_failed", message=str(error))
    if isinstance(error, TrainingError):
        return JobError(code=error.code, message=str(error))
    return JobError(code="internal_error", message=f"{error!r}; see the worker's log")


def _killed(exit_code: int | None, oom_kills: int) -> JobError:
    """A process that ended without a word."""
    if exit_code == -signal.SIGKILL and oom_kills:
        return JobError(
            code="out_of_memory",
            message="the kernel killed the training process because memory ran out; "
            "a smaller size, batch_size or dataset.samples needs less",
        )
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        return JobError(code="killed", message=f"the training process was ended by {name}")
    if exit_code == FORK_SERVER_GONE:
        message = "the process that makes training processes was ended, and this one with it"
        return JobError(code="lost", message=f"{message}; submit the job again")
    return JobError(
        code="lost", message=f"the training process ended without a result (code {exit_code})"
    )


def oom_kill_count(vmstat: Path = VMSTAT) -> int:
    """How many processes the kernel has killed for memory since it started; 0 if unknown."""
    if not vmstat.exists():
        return 0
    lines = dict(line.split() for line in vmstat.read_text().splitlines())
    return int(lines.get("oom_kill", 0))
