"""How busy other programs keep the host, known at any moment for the second before."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.metering.counters import CpuCounters

WINDOW_S = 0.9  # a little less than between looks, so that the one before the last is far enough
LEAST_S = 0.5  # over a shorter time a share says nothing: the counters go in steps of 10 ms
SPACING_S = 0.1  # between looks that are kept, however often the meter is read
KEPT = 64
RENEW_S = 30.0  # how often the processes of the service are listed anew


class Counted(Protocol):
    """CPU-seconds as `CpuCounters` gives them, or a reading of a run."""

    @property
    def host_busy_s(self) -> float | None:
        """Of everything on the host."""

    @property
    def job_cpu_s(self) -> float | None:
        """Of training processes, ended ones too."""

    @property
    def service_cpu_s(self) -> float | None:
        """Of the service."""


@dataclass(frozen=True, slots=True)
class Look:
    """CPU-seconds of others and of the service at one moment; only differences mean something."""

    t_s: float  # of the monotonic clock
    others_s: float
    service_s: float


class LoadMonitor:
    """Looks at the host's counters between runs, and is told of the readings of a run.

    One thread at a time: the meter's while a job trains, else the event loop's.
    """

    def __init__(self, host_cpus: int, make: Callable[[], CpuCounters]) -> None:
        """Nothing is known yet.

        Args:
            host_cpus: CPUs of the host, which the counters count over.
            make: makes counters that know the processes of the service as they are now.
        """
        self._host_cpus, self._make = max(1, host_cpus), make
        self._looks: deque[Look] = deque(maxlen=KEPT)
        self._counters: CpuCounters | None = None
        self._offset = Look(t_s=0.0, others_s=0.0, service_s=0.0)  # of these counters
        self._renew_s = 0.0  # of the monotonic clock

    def look(self) -> Look | None:
        """Look now; null where the host shows no counters."""
        counters = self._counters
        if counters is not None:
            look = self.note(counters, counters.read(None))
            if time.monotonic() < self._renew_s:
                return look
        fresh = self._make()
        return self.note(fresh, fresh.read(None))

    def note(self, counters: CpuCounters, counted: Counted) -> Look | None:
        """Keep what was just read from counters, which are looked at from now on.

        What passed between the last look at other counters and the first at these is not counted.
        """
        now_s, busy_s, service_s = time.monotonic(), counted.host_busy_s, counted.service_cpu_s
        known = busy_s is not None and service_s is not None
        others_s = (busy_s or 0.0) - (service_s or 0.0) - (counted.job_cpu_s or 0.0)
        if counters is not self._counters:
            before = self._looks[-1] if self._looks else self._offset
            self._counters, self._renew_s = counters, now_s + RENEW_S
            self._offset = Look(
                t_s=0.0,
                others_s=before.others_s - others_s,
                service_s=before.service_s - (service_s or 0.0),
            )
        if not known:
            return None
        look = Look(
            t_s=now_s,
            others_s=self._offset.others_s + others_s,
            service_s=self._offset.service_s + (service_s or 0.0),
        )
        if len(self._looks) > 1 and self._looks[-1].t_s - self._looks[-2].t_s < SPACING_S:
            self._looks.pop()
        self._looks.append(look)
        return look

    def others_share(self) -> float | None:
        """What others used of the host in the second before the last look; null: not known yet."""
        looks = tuple(self._looks)
        if not looks:
            return None
        newest = looks[-1]
        far = (look for look in reversed(looks) if newest.t_s - look.t_s >= WINDOW_S)
        before = next(far, looks[0])
        if newest.t_s - before.t_s < LEAST_S:
            return None
        return self.shares(before, newest)[0]

    def shares(self, before: Look, after: Look) -> tuple[float, float]:
        """What others and what the service used of the host's CPU time between two looks."""
        host_s = (after.t_s - before.t_s) * self._host_cpus
        others_s, service_s = after.others_s - before.others_s, after.service_s - before.service_s
        return max(0.0, others_s) / host_s, max(0.0, service_s) / host_s
