"""The readings of a training that measures itself: one a second from a thread, one at each mark."""

import logging
import os
import threading
import time
from datetime import UTC, datetime
from typing import Any

import psutil

from app.domain.errors import MeterError
from app.domain.readings import HostFacts, IdlePower, Phase, Quiet, Reading, Readings
from app.measure.counters import OwnCounters
from app.metering.meter import EnergyMeter
from app.worker.messages import Mark
from app.worker.recorder import Recorder

logger = logging.getLogger(__name__)

AT_ONCE_S = 0.01  # a phase that begins so soon after another one's end follows it directly
MOST_MARKS = 10_000  # after which phases are no more told apart: they go on in the last one
HANGS_S = 10.0  # a reading takes milliseconds
MOST_TICKS = 20_000  # between marks, before every second one is left out: five hours and a half


class SelfReadings:
    """Reads the meter from its beginning to its end; any thread may put marks between.

    A training that takes long is read more and more seldom, so that its readings stay few.
    """

    def __init__(self, meter: EnergyMeter, counters: OwnCounters, interval_s: float) -> None:
        """Nothing is read yet.

        Args:
            meter: of the energy; closed by whoever made it.
            counters: of the CPU-seconds.
            interval_s: seconds between readings.
        """
        self._counters, self._recorder = counters, Recorder(meter, counters)
        self._meter, self._interval_s = meter, interval_s
        self._taken: list[Reading] = []
        self._ticks = 0  # readings without a mark
        self._ended: dict[str, Any] = {}  # facts of the phase that lasts
        self._marks = 0
        self._one_at_a_time = threading.RLock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="trainwatt-meter", daemon=True)

    def begin(self) -> None:
        """Take the first reading, and one every interval from now on.

        Raises:
            MeterError: the meter gives no reading.
        """
        self._read(None)
        self._thread.start()

    def mark(self, begins: Phase, index: int | None = None) -> None:
        """A phase begins now; what was told of the one before goes with its end.

        Where the meter gives no reading the phase before goes on, and the log says so. So it does
        after ten thousand phases, whose samples add up in the last one.
        """
        with self._one_at_a_time:
            if self._marks >= MOST_MARKS and begins not in {Phase.EVALUATION, Phase.END}:
                return
            try:
                self._read(Mark(begins=begins, index=index, ended=self._ended))
            except MeterError as error:
                logger.warning("the phase %s could not be marked: %s", begins.value, error)
                return
            self._ended, self._marks = {}, self._marks + 1
            if self._marks == MOST_MARKS:
                logger.warning("further phases are not told apart: %d are enough", MOST_MARKS)

    def tell(self, **facts: Any) -> None:
        """Facts of the phase that lasts; samples add up where it stands for several."""
        with self._one_at_a_time:
            more = {name: value for name, value in facts.items() if value is not None}
            if self._marks >= MOST_MARKS and "samples" in more:
                more["samples"] += self._ended.get("samples", 0)
            self._ended |= more

    def end(self) -> None:
        """Take the last reading and no more; without it where the meter hangs."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(HANGS_S)
        if self._thread.is_alive():
            logger.error("the energy meter hangs: the last reading is missing")
            return
        self.mark(Phase.END)

    @property
    def epochs(self) -> int:
        """How many have begun, as far as they were told apart."""
        return sum(reading.begins is Phase.EPOCH for reading in self._taken)

    def record(self, host: HostFacts, idle: IdlePower | None, quiet: Quiet | None) -> Readings:
        """Everything that was read, on this host.

        Args:
            host: its facts.
            idle: its idle power, if that is known.
            quiet: whether it was quiet at the beginning.
        """
        return Readings(
            attempt=1,
            started_at=self._recorder.started_at or datetime.now(UTC),
            sample_interval_s=self._interval_s,
            host=host,
            meter=self._meter.facts,
            governor=self._recorder.governor,
            idle=idle,
            quiet=quiet,
            readings=tuple(self._taken),
        )

    def _keep(self) -> None:
        due_s = time.monotonic() + self._interval_s
        while not self._over.wait(max(0.0, due_s - time.monotonic())):
            try:
                self._read(None)
            except (MeterError, OSError, psutil.Error) as error:
                logger.warning("a reading is missing: %s", error)
            due_s = max(due_s + self._interval_s, time.monotonic())

    def _read(self, mark: Mark | None) -> None:
        with self._one_at_a_time, self._counters.measuring():
            self._taken.append(self._recorder(os.getpid(), mark))
            if mark is not None:
                self._join()
            self._ticks += mark is None
            if self._ticks > MOST_TICKS:
                self._thin()

    def _join(self) -> None:
        """Leave out what lies between two phases of which one follows the other at once."""
        if len(self._taken) < 3:
            return
        before, newest = self._taken[-2:]
        if before.begins is Phase.OTHER and newest.t_s - before.t_s < AT_ONCE_S:
            facts = {**before.ended, **newest.ended}
            self._taken[-2:] = [newest.model_copy(update={"ended": facts})]

    def _thin(self) -> None:
        """Leave out every second reading without a mark; the counters lose nothing by that."""
        kept, skip = [self._taken[0]], True
        for reading in self._taken[1:]:
            if reading.begins is not None or not skip:
                kept.append(reading)
            skip = skip if reading.begins is not None else not skip
        self._taken, self._interval_s = kept, 2 * self._interval_s
        self._ticks = sum(reading.begins is None for reading in kept)
