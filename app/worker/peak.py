"""What this host can compute at most: measured at the start, and again once the host is quiet."""

import asyncio
import logging
from collections.abc import Callable, MutableMapping

from app.accounting.conditions import BUSY_SHARE
from app.domain.errors import UnavailableError
from app.settings import Settings
from app.worker import process
from app.worker.gate import host_gate
from app.worker.load_monitor import LoadMonitor

logger = logging.getLogger(__name__)

WAIT_S = 10.0  # for another worker's measuring
AGAIN_S = 15.0  # between looks whether the host is quiet by now


class Peak:
    """The best product of two matrices that was seen; others' load can only make one slower."""

    def __init__(
        self,
        settings: Settings,
        load: LoadMonitor,
        best: MutableMapping[str, float],
        busy: Callable[[], bool],
    ) -> None:
        """Know nothing yet.

        Args:
            settings: where the host's lock is.
            load: what others use of the host.
            best: where the best FLOP/s of each precision are kept.
            busy: whether a job is in hand.
        """
        self._settings, self._load, self._best, self._busy = settings, load, best, busy
        self._settled = False

    async def measure(self) -> None:
        """Measure now, if no other worker measures on this host; a better figure is kept."""
        quiet = self._is_quiet()
        waiting = asyncio.timeout(WAIT_S)
        try:
            async with waiting, host_gate(self._settings.host_lock):
                waiting.reschedule(None)  # what has begun ends by itself, and keeps the host
                found = await asyncio.to_thread(process.matmul_flops_per_s)
        except (TimeoutError, UnavailableError) as error:
            logger.warning("the host's peak of a matrix product is not known: %r", error)
            return
        for precision, flops_per_s in found.items():
            self._best[precision] = max(flops_per_s, self._best.get(precision, 0.0))
        self._settled = quiet

    async def settle(self) -> None:
        """Measure again until the host was quiet before one, between jobs."""
        while not self._settled:
            await asyncio.sleep(AGAIN_S)
            if not self._busy() and self._is_quiet():
                await self.measure()

    def _is_quiet(self) -> bool:
        """Whether others left the CPUs alone in the second before; false where nobody knows."""
        self._load.look()
        share = self._load.others_share()
        return share is not None and share <= BUSY_SHARE
