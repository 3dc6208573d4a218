"""Turns the meter, the CPU counters and the host's conditions into readings of one attempt."""

import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.domain.errors import MeterError
from app.domain.quantities import Frozen
from app.domain.readings import Phase, Reading
from app.metering.conditions import Condition, Conditions, governor
from app.metering.counters import Counters
from app.metering.meter import Energies, EnergyMeter
from app.worker.messages import Mark

DIGITS = 6  # microjoules and microseconds: RAPL's own unit, and half the bytes to store
CONDITIONS_PERIOD_S = 0.9  # once a second, whatever the marks between; ticks come a little early
HELD_UP, HELD_UP_S = 3.0, 0.001  # times the quickest reading, and on top: longer is too long


@dataclass(frozen=True)
class _Taken:
    """The meter's counters, their moment, and how long it took to read them."""

    energies: Energies
    moment_s: float  # of the monotonic clock
    took_s: float


class Recorder:
    """Reads everything at once; the first reading is second 0 and begins `setup`.

    Only the thread that owns the attempt's meter may call it.

    Attributes:
        started_at: UTC, at the first reading.
        governor: of the CPU's frequency at the first reading; null where there is none.
    """

    def __init__(
        self, meter: EnergyMeter, counters: Counters, conditions: Conditions | None = None
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
        self._quickest_s: float | None = None  # what a reading of the meter took
        self._zero_s: float | None = None
        self.started_at: datetime | None = None
        self.governor: str | None = None

    def __call__(self, job: int | None, mark: Mark | None) -> Reading:
        """All counters now, at a mark or between.

        Raises:
            MeterError: the meter gave no reading.
        """
        energies, moment_s = self._joules()
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

    def _joules(self) -> tuple[Energies, float]:
        """The meter's counters and their moment, of the monotonic clock, halfway through.

        A reading that was held up in the middle tells its moment badly: it is done once more.
        """
        found = self._timed()
        if found.took_s > HELD_UP * (self._quickest_s or 0.0) + HELD_UP_S:
            with contextlib.suppress(MeterError):  # there is one that is only late
                found = min(found, self._timed(), key=lambda taken: taken.took_s)
        self._quickest_s = min(self._quickest_s or found.took_s, found.took_s)
        return found.energies, found.moment_s

    def _timed(self) -> "_Taken":
        before_s = time.monotonic()
        energies = self._meter.read()
        after_s = time.monotonic()
        return _Taken(energies, (before_s + after_s) / 2, after_s - before_s)

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
