"""How an attempt ended, in a status and in words."""

import signal

import pytest

from app.domain.errors import MeterError
from app.domain.jobs import JobError, JobStatus
from app.worker.messages import Ended, Failure
from app.worker.outcome import Cut, oom_kill_count, outcome

STOPPED = Cut(status=JobStatus.CANCELLED)
LATE = Cut(
    status=JobStatus.TIMED_OUT, error=JobError(code="timeout", message="after timeout_s = 5 s")
)
KILLED = Ended(exit_code=-signal.SIGKILL)


def end(ended, *, failure=None, cut=None, oom_kills=0):
    status, error = outcome(ended=ended, failure=failure, cut=cut, oom_kills=oom_kills)
    return status, error and error.code, error and error.message


@pytest.mark.parametrize(
    ("how", "status", "code", "words"),
    [
        ({"ended": Ended(exit_code=0)}, "succeeded", None, None),
        # it had finished before the kill arrived
        ({"ended": Ended(exit_code=0), "cut": LATE}, "succeeded", None, None),
        ({"ended": KILLED, "cut": STOPPED}, "cancelled", None, None),
        ({"ended": KILLED, "cut": LATE}, "timed_out", "timeout", "timeout_s = 5 s"),
        ({"ended": KILLED}, "failed", "killed", "SIGKILL"),
        ({"ended": KILLED, "oom_kills": 1}, "failed", "out_of_memory", "batch_size"),
        ({"ended": Ended(exit_code=-signal.SIGSEGV)}, "failed", "killed", "SIGSEGV"),
        ({"ended": Ended(exit_code=3)}, "failed", "lost", "code 3"),
        ({"ended": Ended(exit_code=None)}, "failed", "lost", "without a result"),
        (
            {"ended": Ended(exit_code=1), "failure": Failure(code="diverged", message="nan")},
            "failed",
            "diverged",
            "nan",
        ),
        (
            {"ended": Ended(exit_code=-9, error=MeterError("gone")), "cut": STOPPED},
            "failed",
            "meter_failed",
            "gone",
        ),
    ],
)
def test_every_way_to_end(how, status, code, words):
    got_status, got_code, message = end(**how)
    assert (got_status, got_code) == (status, code)
    assert words is None or words in message


def test_kills_for_memory_are_counted_from_the_kernel(tmp_path):
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("nr_free_pages 12\noom_kill 3\n")
    assert oom_kill_count(vmstat) == 3
    assert oom_kill_count(tmp_path / "none") == 0
