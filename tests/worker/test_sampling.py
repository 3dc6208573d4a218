"""Readings that come late: said once a stretch, and the end where they come no more."""

import pytest

from app.domain.jobs import JobStatus
from app.worker.sampling import HANGS_S, Sampling


class Silence:
    """A sampling whose clock the test moves, and how often it was ended."""

    def __init__(self, interval_s=1.0):
        self.it, self.ended = Sampling("j1", interval_s), 0
        self.it.begin()
        self._now_s = self.it._read_s

    def lasts(self, seconds, tick_s=1.0):
        for _ in range(round(seconds / tick_s)):
            self._now_s += tick_s
            self.it._look(self._now_s, tick_s, self._end)

    def ends(self):
        self.it._read_s = self._now_s

    def _end(self):
        self.ended += 1


def test_it_is_said_once_a_stretch_with_the_job(caplog):
    silence = Silence()
    silence.lasts(2)
    assert caplog.text == ""
    silence.lasts(20)
    assert len(caplog.records) == 1
    assert "j1: sampling fell behind: no reading for 3.0 s" in caplog.text
    silence.ends()
    silence.lasts(2)
    assert len(caplog.records) == 1
    silence.lasts(3)
    assert len(caplog.records) == 2
    assert silence.ended == 0


def test_it_is_late_by_three_intervals(caplog):
    silence = Silence(interval_s=10.0)
    silence.lasts(29)
    assert caplog.text == ""
    silence.lasts(1)
    assert "no reading for 30.0 s" in caplog.text


def test_before_there_is_a_process_nothing_is_late(caplog):
    silence = Silence()
    silence.it = Sampling("j1", 1.0)
    silence.lasts(100)
    assert (caplog.text, silence.ended) == ("", 0)


def test_a_meter_that_hangs_ends_the_run_once():
    silence = Silence()
    silence.lasts(HANGS_S - 1)
    assert (silence.ended, silence.it.hangs) == (0, None)
    silence.lasts(30)
    assert silence.ended == 1
    assert (silence.it.hangs.status, silence.it.hangs.error.code) == (
        JobStatus.FAILED,
        "meter_failed",
    )
    assert "no reading came for 60 s" in silence.it.hangs.error.message


@pytest.mark.parametrize("stopped_s", [30.0, 600.0])
def test_a_worker_that_was_stopped_has_missed_nothing(stopped_s, caplog):
    silence = Silence()
    silence.lasts(1)
    silence.lasts(stopped_s, tick_s=stopped_s)  # the event loop did not run either
    assert (caplog.text, silence.ended) == ("", 0)
    silence.lasts(5)
    assert len(caplog.records) == 1
