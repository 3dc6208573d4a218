"""Turns the meter, the CPU counters and the host's conditions into readings of one attempt."""

import time
from datetime import UTC, datetime
from typing import Any

from app.domain.quantities import Frozen
from app.domain.readings import Phase, Reading
from app.metering.conditions import Condition, Conditions, governor
from app.metering.counters import CpuCounters
from app.metering.meter import EnergyMeter
from app.worker.messages import Mark

DIGITS = 6  # microjoules and microseconds: RAPL's own unit, and half the bytes to store
CONDITIONS_PERIOD_S = 0.9  # once a second, whatever the marks between; ticks come a little early


class Recorder:
    """Reads everything at once; the first reading is second 0 and begins `setup`.

    Only the thread that owns the attempt's meter may call it.

    Attributes:
        started_at: UTC, at the first reading.
        governor: of the CPU's frequency at the first reading; null where there is none.
    """

    def __init__(
        self, meter: EnergyMeter, counters: CpuCounters, conditions: Conditions | None = None
    ) -> None:
        """Nothing is read yet.

        Args:
            meter: of the energy.
            counters: of the CPU-seconds.
            conditions: null for those of this host.
        """
        self._meter, self._counters = meter, counters
        self._conditions = conditions or Conditions()
        self._conditions_due_s = 0.0  # of the monotonic clock
        self._zero_s: float | None = None
        self.started_at: datetime | None = None
        self.governor: str | None = None

    def __call__(self, job: int | None, mark: Mark | None) -> Reading:
        """All counters now, at a mark or between.

        Raises:
            MeterError: the meter gave no reading.
        """
        before_s = time.monotonic()
        energies = self._meter.read()
        moment_s = (before_s + time.monotonic()) / 2
        cpu = self._counters.read(job)
        condition = self._condition(job, moment_s)
        begins = mark.begins if mark else None
        if self._zero_s is None:
            self._zero_s, self.started_at = moment_s, datetime.now(UTC)
            self.governor = governor()
            begins = Phase.SETUP
        return Reading(
            t_s=round(moment_s - self._zero_s, DIGITS),
            **_rounded(energies),
            **_rounded(cpu),
            **dict(condition),
            begins=begins,
            index=mark.index if mark else None,
            ended=mark.ended if mark else {},
        )

    def _condition(self, job: int | None, now_s: float) -> Condition:
        """The conditions once a second, after the counters: they delay no boundary's joules."""
        if now_s < self._conditions_due_s:
            return Condition()
        self._conditions_due_s = now_s + CONDITIONS_PERIOD_S
        return self._conditions.read(job)


def _rounded(counters: Frozen) -> dict[str, Any]:
    """The fields of counters, to the microjoule and microsecond."""
    return {name: _round(value) for name, value in counters}


def _round(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_round(item) for item in value)
    return round(value, DIGITS) if isinstance(value, float) else value
