"""Says when sampling falls behind while a job trains, and when the meter hangs for good."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator

from app.domain.jobs import JobError, JobStatus
from app.worker.outcome import Cut

logger = logging.getLogger(__name__)

TICK_S = 1.0
BEHIND_INTERVALS, BEHIND_S = 3, 3.0  # without a reading: the longer one of both
HANGS_S = 60.0


class Sampling:
    """The readings of one attempt, as the event loop sees them come; the meter's thread counts."""

    def __init__(self, job_id: str, interval_s: float) -> None:
        """Nothing is watched yet.

        Args:
            job_id: the job.
            interval_s: seconds between readings, as they are asked for.
        """
        self._job_id = job_id
        self._behind_s = max(BEHIND_INTERVALS * interval_s, BEHIND_S)
        self._read_s = self._seen_s = time.monotonic()
        self._stopped_s = 0.0  # since then, for which this process itself did not run
        self._trains = self._said = False
        self.hangs: Cut | None = None

    def read(self) -> None:
        """There was a reading, just now."""
        self._read_s = time.monotonic()

    def begin(self) -> None:
        """There is a process to read: from now on readings have to come."""
        self._trains = True
        self.read()

    @contextlib.contextmanager
    def watched(self, end: Callable[[], None]) -> Iterator[None]:
        """Look once a second while the block runs; `end` is called where the meter hangs."""
        loop = asyncio.get_running_loop()
        before_s = time.monotonic()
        timer: asyncio.TimerHandle

        def tick() -> None:
            nonlocal before_s, timer
            now_s = time.monotonic()
            self._look(now_s, now_s - before_s, end)
            before_s = now_s
            timer = loop.call_later(TICK_S, tick)

        timer = loop.call_later(TICK_S, tick)
        try:
            yield
        finally:
            timer.cancel()

    def _look(self, now_s: float, passed_s: float, end: Callable[[], None]) -> None:
        """Judge the silence; a process that was stopped meanwhile has missed nothing by it."""
        if self._read_s != self._seen_s:
            self._seen_s, self._stopped_s, self._said = self._read_s, 0.0, False
        self._stopped_s += passed_s if passed_s > 2 * TICK_S else 0.0
        silent_s = now_s - self._read_s - self._stopped_s
        if not self._trains or silent_s < self._behind_s:
            return
        if not self._said:
            self._said = True
            logger.warning(
                "job %s: sampling fell behind: no reading for %.1f s; the host is overloaded, or "
                "a sensor does not answer",
                self._job_id,
                silent_s,
            )
        if silent_s >= HANGS_S and self.hangs is None:
            message = f"the energy meter hangs: no reading came for {silent_s:.0f} s"
            error = JobError(code="meter_failed", message=message)
            self.hangs = Cut(status=JobStatus.FAILED, error=error)
            end()
