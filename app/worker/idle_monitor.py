"""Between jobs: how busy others keep the host, and its idle power; at a job: may it begin now?"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import TypeVar

from app.accounting.conditions import BUSY_SHARE
from app.domain.errors import MeterError, UnavailableError, UsageError
from app.domain.readings import HostFacts, IdlePower, Quiet
from app.metering.conditions import Conditions
from app.metering.counters import CpuCounters, service_processes
from app.metering.meter import EnergyMeter
from app.settings import Settings
from app.worker import baseline_file
from app.worker.gate import is_free
from app.worker.idle import SLACK_S, Window, has_sensor, is_whole
from app.worker.load_monitor import LoadMonitor, Look
from app.worker.process import fork_server_pid

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

PERIOD_S = 1.0
SETTLE_S = 5.0  # after a job, until its power and its heat are gone
PAUSE_S = 30.0  # after the sensors have failed
HANG_S = 30.0  # a reading takes milliseconds


class IdleMonitor:
    """Looks once a second while no job is in hand; a job holds it until its end.

    So the meter has one caller at a time.
    """

    def __init__(
        self,
        settings: Settings,
        meter: EnergyMeter,
        host: HostFacts,
        hangs: Callable[[UnavailableError], None],
    ) -> None:
        """Look at nothing yet; `hangs` is told where the meter does not answer any more."""
        self._settings, self._meter, self._host, self._hangs = settings, meter, host, hangs
        self.load = LoadMonitor(
            host.host_cpus,
            lambda: CpuCounters(
                fork_server_pid(), service_processes(supervised=settings.supervised)
            ),
        )
        self._conditions = Conditions()
        self._sensor = has_sensor(meter.facts)
        self._window = Window(meter.facts, self.load, settings.baseline_window_s)
        self._file = baseline_file.File(
            settings.data_dir, host, meter.facts, settings.baseline_max_age_s
        )
        self._alone = asyncio.Lock()
        # Moments of the monotonic clock: when the window may begin, and when sensors that have
        # failed are tried again.
        self._from_s = self._blind_until_s = 0.0
        self._lock_lost = False  # whether it was said that the host's lock cannot be opened
        self.idle: IdlePower | None = None

    async def keep(self) -> None:
        """Look once a second, for ever."""
        while True:
            async with self._alone:
                await self._tick()
            await asyncio.sleep(PERIOD_S)

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Leave meter and counters to a job while the block runs."""
        async with self._alone:
            self._take_up()
            try:
                yield
            finally:
                self._window.clear()
                self._from_s = time.monotonic() + SETTLE_S

    async def ready(self) -> bool:
        """Whether a job may begin: the host is quiet, and its idle power is known, if it can be.

        The caller holds it.
        """
        look = self.load.look()
        await self._short(look, disturbed=False)
        return look is None or (await self._is_quiet() is True and not self._lacks_idle)

    async def begin(self, waited_s: float) -> Quiet | None:
        """What was seen last before a job begins; null where the host shows no counters.

        A window that was disturbed is better than none, and says so.
        """
        look = self.load.look()
        await self._short(look, disturbed=True)
        if look is None:
            return None
        return Quiet(
            waited_s=round(waited_s, 3),
            others_share=self.load.others_share(),
            quiet=await self._is_quiet(),
        )

    @property
    def _lacks_idle(self) -> bool:
        return self._sensor and self.idle is None and time.monotonic() >= self._blind_until_s

    async def _is_quiet(self) -> bool | None:
        """Whether others leave CPUs and GPUs alone; null: not known yet."""
        share = self.load.others_share()
        if share is None:
            return None
        return share <= BUSY_SHARE and (await self._gpu_utilization() or 0.0) <= BUSY_SHARE

    async def _gpu_utilization(self) -> float | None:
        """Mean use of the GPUs, which no job of ours uses now; null where there is none."""
        if not self._host.gpus:
            return None
        condition = await self._in_thread(lambda: self._conditions.read(None))
        return None if condition is None else condition.gpu_utilization

    async def _in_thread(self, read: Callable[[], Answer]) -> Answer | None:
        """Read what may hang for good with its driver: the worker is lost then."""
        try:
            async with asyncio.timeout(HANG_S):
                return await asyncio.to_thread(read)
        except TimeoutError:
            self._hangs(UnavailableError("the energy meter hangs: a new worker has to measure"))
            return None

    async def _tick(self) -> None:
        look = self.load.look()
        self._take_up()
        now_s = time.monotonic()
        if look is None or not self._due() or now_s < max(self._from_s, self._blind_until_s):
            return
        if not self._host_is_free():
            self._window.clear()
            return
        await self._sample(look)
        if idle := self._window.idle(self._settings.baseline_window_s - SLACK_S):
            self._keep(idle)

    def _host_is_free(self) -> bool:
        """Whether no other worker measures on this host; nobody knows without the lock's file."""
        try:
            free = is_free(self._settings.host_lock)
        except UsageError as error:
            if not self._lock_lost:
                logger.warning("no idle power can be measured: %s", error)
            self._lock_lost = True
            return False
        self._lock_lost = False
        return free

    def _due(self) -> bool:
        """Whether a whole, quiet window is missing, is too old, or is of a clock set back since."""
        if not self._sensor:
            return False
        if self.idle is None or not (self.idle.calibrated or self._is_whole(self.idle)):
            return True
        age_s = (datetime.now(UTC) - self.idle.taken_at).total_seconds()
        return not 0 <= age_s <= self._settings.baseline_max_age_s

    def _is_whole(self, idle: IdlePower) -> bool:
        """Whether there is nothing better to be had."""
        long_enough = idle.window_s >= self._settings.baseline_window_s - SLACK_S
        return long_enough and is_whole(self._meter.facts, idle)

    async def _short(self, look: Look | None, *, disturbed: bool) -> None:
        """Where no idle power is known, take a short window as soon as there is one."""
        if look is None or not self._lacks_idle:
            return
        await self._sample(look)
        short_s = self._settings.baseline_short_s - SLACK_S
        if idle := self._window.idle(short_s, disturbed=disturbed):
            self._keep(idle)
        elif self._window.span_s >= short_s and not self._window.idle(short_s, disturbed=True):
            self._fail("the sensors' counters stand still, or jump")

    async def _sample(self, look: Look) -> None:
        """Add a reading to the window; one that fails begins it anew, after a pause."""
        try:
            energies = await self._in_thread(self._meter.read)
        except MeterError as error:
            self._fail(error)
            return
        if energies is not None:
            self._window.add(look, energies, await self._gpu_utilization())

    def _fail(self, why: object) -> None:
        """Let no job wait for sensors that do not answer; the job itself will say so."""
        logger.warning("no idle power can be measured: %s", why)
        self._window.clear()
        self._blind_until_s = time.monotonic() + PAUSE_S

    def _take_up(self) -> None:
        """Take what `trainwatt calibrate` or another worker has left since the last look.

        Whose file is newer is told by the file: the clock may have been set meanwhile.
        """
        if not self._sensor:
            return
        found = self._file.news()
        if found and found != self.idle:
            self.idle = found
            self._window.clear()

    def _keep(self, idle: IdlePower) -> None:
        self.idle = idle
        self._window.clear()
        logger.info(
            "idle power over %.0f s: CPU %s W, GPU %s W", idle.window_s, idle.cpu_w, idle.gpu_w
        )
        try:
            baseline_file.write(self._settings.data_dir, self._host, self._meter.facts, idle)
        except OSError as error:
            logger.warning("the idle power cannot be kept for the next start: %s", error)
