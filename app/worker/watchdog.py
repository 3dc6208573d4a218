"""What a worker does while its database is away: try again, and give up in time.

Half a lease without an answer is the limit: a worker that others may soon take for gone must not
train any more by then. Together with the fence (`app.storage.attempts`), the locks
(`app.storage.locks`) and the sweep this keeps a job in the hands of one worker.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from app.domain.errors import FullError, UnavailableError

logger = logging.getLogger(__name__)

AGAIN_S = 0.25
FULL_AGAIN_S = 2.0
KEPT = "%s; what is measured is kept in memory until then, and no attempt is lost"
STOP_S = 1.0  # for which a worker that is to stop goes on trying
TICKS = 10  # that an unanswered question has; a process that was stopped meanwhile loses one

Answer = TypeVar("Answer")
Do = Callable[[], Awaitable[Answer]]


def _nothing(_: UnavailableError) -> None:
    """Leave it to the callers, who get the error."""


class Watchdog:
    """Puts questions to the database, and knows for how long it has not answered."""

    def __init__(
        self,
        patience_s: float = math.inf,
        give_up: Callable[[UnavailableError], None] = _nothing,
    ) -> None:
        """Watch nothing yet.

        Args:
            patience_s: seconds without an answer after which it gives up: half the lease.
            give_up: called once then, after whatever is guarded was ended.
        """
        self._patience_s, self._give_up = patience_s, give_up
        self._guarded: list[Callable[[], None]] = []
        self._since_s: float | None = None  # when the database was away for the first time
        self._stop = asyncio.Event()
        self._stop_by_s = math.inf
        self.failures = 0  # counted, so that callers see that there was one
        self.lost: UnavailableError | None = None

    @contextlib.contextmanager
    def guard(self, end: Callable[[], None]) -> Iterator[None]:
        """Have this called where the watchdog gives up while the block runs."""
        self._guarded.append(end)
        try:
            yield
        finally:
            self._guarded.remove(end)

    @property
    def stopping(self) -> bool:
        """Whether nothing is tried again for long."""
        return self._stop.is_set()

    def stop(self) -> None:
        """The worker is to end now: who waits tries again at once, and `STOP_S` s at most."""
        if not self.stopping:
            self._stop_by_s = time.monotonic() + STOP_S
            self._stop.set()

    def lose(self, error: UnavailableError) -> None:
        """End whatever is guarded, and give up; once."""
        if self.lost is None:
            self.lost = error
            for end in self._guarded:
                end()
            self._give_up(error)

    async def ask(self, do: Do[Answer]) -> Answer:
        """As `retry`, of what is answered in moments: no answer counts as a failure too."""

        async def in_time() -> Answer:
            with self._ticking():
                return await do()

        return await self.retry(in_time)

    async def retry(self, do: Do[Answer]) -> Answer:
        """Do it, and again while the database is away or its disk is full.

        A full disk is waited for until the worker is to stop: the database answers, and nobody
        else can write to it either.

        Raises:
            UnavailableError: it was away for too long, or the worker is to stop.
        """
        full = False
        while True:
            try:
                answer = await do()
            except FullError as error:
                self._found_full(error, said=full)
                full = True
                await self._pause(error, FULL_AGAIN_S)
            except UnavailableError as error:
                self._failed(error)
                await self._pause(error, AGAIN_S)
            else:
                self._answered()
                if full:
                    logger.warning("the database's disk has room again")
                return answer

    def _found_full(self, error: FullError, *, said: bool) -> None:
        self.failures, self._since_s = self.failures + 1, None
        if not said:
            logger.error(KEPT, error)

    def _failed(self, error: UnavailableError) -> None:
        self.failures += 1
        self._since_s = self._first(error)
        if time.monotonic() - self._since_s >= self._patience_s:
            self.lose(error)

    def _first(self, error: UnavailableError, silent_s: float = 0.0) -> float:
        """When the database went away: now, less a silence; what waits for a lock is no silence."""
        if self._since_s is None:
            logger.warning("%s; trying again for %g s", error, self._patience_s)
        return time.monotonic() - silent_s if self._since_s is None else self._since_s

    async def _pause(self, error: UnavailableError, pause_s: float) -> None:
        """Wait before the next try.

        Raises:
            UnavailableError: the given one, where there is no next try.
        """
        if time.monotonic() >= self._stop_by_s:
            self.lose(error)
        if self.lost:
            raise error
        if self.stopping:
            await asyncio.sleep(AGAIN_S)
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), pause_s)

    def _answered(self) -> None:
        if self._since_s is not None:
            away_s = time.monotonic() - self._since_s
            logger.warning("the database answers again, after %.1f s", away_s)
        self._since_s = None

    @contextlib.contextmanager
    def _ticking(self) -> Iterator[None]:
        """Give up where the block takes too long, the time not counted in which we were stopped."""
        if math.isinf(self._patience_s):
            yield
            return
        loop, tick_s = asyncio.get_running_loop(), self._patience_s / TICKS
        left = TICKS
        timer: asyncio.TimerHandle

        def tick() -> None:
            nonlocal left, timer
            left -= 1
            if left:
                timer = loop.call_later(tick_s, tick)
                return
            silent = f"the database has not answered for {self._patience_s:g} s"
            self.lose(UnavailableError(f"{silent}: start it, or look at the network"))

        timer = loop.call_later(tick_s, tick)
        try:
            yield
        except FullError:
            raise
        except UnavailableError as error:
            self._since_s = self._first(error, silent_s=(TICKS - left) * tick_s)
            raise
        finally:
            timer.cancel()
