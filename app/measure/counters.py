"""CPU-seconds of a process that trains and measures itself, as cumulative counters."""

import contextlib
import os
import time
from collections.abc import Iterator

import psutil

from app.metering.counters import CpuSeconds, HostCounters

CHILDREN_PERIOD_S = 0.9  # between two looks at every child, each a file to read


class OwnCounters:
    """The counters of this process: it is the job, but for what reading the meter takes."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._host = HostCounters()
        self._process = psutil.Process()
        self._children_s = 0.0
        self._children_due_s = 0.0  # of the monotonic clock
        self._instrument_s = 0.0

    @contextlib.contextmanager
    def measuring(self) -> Iterator[None]:
        """Count what this thread uses in the block as the instrument's."""
        before_s = time.thread_time()
        try:
            yield
        finally:
            self._instrument_s += time.thread_time() - before_s

    def read(self, _: int | None = None) -> CpuSeconds:
        """All counters now."""
        instrument_s = self._instrument_s
        return CpuSeconds(
            host_busy_s=self._host.busy_s(),
            host_steal_s=self._host.steal_s(),
            job_cpu_s=max(0.0, time.process_time() - instrument_s) + self._of_children_s(),
            service_cpu_s=instrument_s,
            instrument_cpu_s=instrument_s,
        )

    def _of_children_s(self) -> float:
        """Of children that live and that have ended, as workers of a data loader; never less."""
        now_s = time.monotonic()
        if now_s < self._children_due_s:
            return self._children_s
        self._children_due_s = now_s + CHILDREN_PERIOD_S
        ended = os.times()
        seconds = ended.children_user + ended.children_system
        for child in self._process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                seconds += sum(child.cpu_times()[:4])
        self._children_s = max(self._children_s, seconds)
        return self._children_s
