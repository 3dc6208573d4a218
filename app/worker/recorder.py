"""Turns the meter and the CPU counters into readings of one attempt."""

import time
from datetime import UTC, datetime
from typing import Any

from app.domain.quantities import Frozen
from app.domain.readings import Phase, Reading
from app.metering.counters import CpuCounters
from app.metering.meter import EnergyMeter
from app.worker.messages import Mark

DIGITS = 6  # microjoules and microseconds: RAPL's own unit, and half the bytes to store


class Recorder:
    """Reads everything at once; the first reading is second 0 and begins `setup`.

    Only the thread that owns the attempt's meter may call it.
    """

    def __init__(self, meter: EnergyMeter, counters: CpuCounters) -> None:
        """Nothing is read yet."""
        self._meter, self._counters = meter, counters
        self._zero_s: float | None = None
        self.started_at: datetime | None = None

    def __call__(self, job: int | None, mark: Mark | None) -> Reading:
        """All counters now, at a mark or between.

        Raises:
            MeterError: the meter gave no reading.
        """
        before_s = time.monotonic()
        energies = self._meter.read()
        moment_s = (before_s + time.monotonic()) / 2
        cpu = self._counters.read(job)
        begins = mark.begins if mark else None
        if self._zero_s is None:
            self._zero_s, self.started_at = moment_s, datetime.now(UTC)
            begins = Phase.SETUP
        return Reading(
            t_s=round(moment_s - self._zero_s, DIGITS),
            **_rounded(energies),
            **_rounded(cpu),
            begins=begins,
            index=mark.index if mark else None,
            ended=mark.ended if mark else {},
        )


def _rounded(counters: Frozen) -> dict[str, Any]:
    """The fields of counters, to the microjoule and microsecond."""
    return {
        name: round(value, DIGITS) if isinstance(value, float) else value
        for name, value in counters
    }
