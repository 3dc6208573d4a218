"""Notices of changed jobs: one connection that listens for a whole process, and who waits for one.

A notice says only that something of a job may be new: whoever waits reads the database again. One
that is lost costs time and nothing else, since everybody also looks again every few seconds.
"""

import asyncio
import contextvars
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from app.domain.errors import UnavailableError
from app.storage.connect import CONNECT_TIMEOUT_S, connect
from app.storage.database import Database

logger = logging.getLogger(__name__)

CHANNEL = "trainwatt_jobs"  # of the trigger on the table `jobs`
RETRY_S = 1.0  # between two tries to connect
CHECK_S = 30.0  # a silent connection is asked whether it lives
BROKEN = (psycopg.Error, UnavailableError, TimeoutError, OSError)


class News:
    """Whether something may be new; any number of notices before a look are one."""

    def __init__(self) -> None:
        """Nothing is new yet."""
        self._new = asyncio.Event()

    def wake(self) -> None:
        """Let whoever waits look again."""
        self._new.set()

    async def wait(self, timeout_s: float) -> bool:
        """Wait for news, `timeout_s` seconds at most; whether some came."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._new.wait()
        except TimeoutError:
            return False
        self._new.clear()
        return True


class Listener:
    """One connection that hears of every change of a job, from the first who waits on."""

    def __init__(self, url: str) -> None:
        """Connect when somebody waits."""
        self._url = url
        self._waiting: dict[str, set[News]] = {}
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def news(self, job_id: str) -> Iterator[News]:
        """The news of one job while a block runs."""
        news = News()
        self._waiting.setdefault(job_id, set()).add(news)
        if self._task is None or self._task.done():
            empty = contextvars.Context()  # it serves others than the request that comes first
            self._task = asyncio.get_running_loop().create_task(self._listen(), context=empty)
        try:
            yield news
        finally:
            others = self._waiting[job_id]
            others.discard(news)
            if not others:
                del self._waiting[job_id]

    async def close(self) -> None:
        """End the connection."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear()
            except BROKEN as error:
                logger.warning("changes of jobs are not heard for a moment: %s", error)
            await asyncio.sleep(RETRY_S)

    async def _hear(self) -> None:
        """Listen until the connection breaks; what changed before counts as heard now."""
        connection = await connect(self._url, autocommit=True)
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            self._wake_all()
            while True:
                if not await _readable(connection.fileno(), CHECK_S):
                    async with asyncio.timeout(CONNECT_TIMEOUT_S):
                        await connection.execute("SELECT 1")
                async for notice in connection.notifies(timeout=0):
                    self._wake(notice.payload)

    def _wake(self, job_id: str) -> None:
        for news in self._waiting.get(job_id, ()):
            news.wake()

    def _wake_all(self) -> None:
        for job_id in self._waiting:
            self._wake(job_id)


class Notices(Database):
    """The notices of this database."""

    _listener: Listener | None = None

    @contextmanager
    def news(self, job_id: str) -> Iterator[News]:
        """Hear of every change of a job, or of its readings, while a block runs."""
        if self._listener is None:
            self._listener = Listener(self._url)
        with self._listener.news(job_id) as news:
            yield news

    async def close(self) -> None:
        """Close every connection."""
        if self._listener is not None:
            await self._listener.close()
        await super().close()


async def _readable(descriptor: int, timeout_s: float) -> bool:
    """Whether something can be read within so many seconds; asleep, and not polling, until then."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        async with asyncio.timeout(timeout_s):
            await ready.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
    return True
