"""Named locks that go with the process that holds them."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Any

import psycopg

from app.storage.connect import connect, unavailable
from app.storage.database import Database

Connection = psycopg.AsyncConnection[Any]

# A host that vanishes without a word is noticed by the server after 10 + 3 × 5 s, and its locks
# are free then. Without effect on a unix socket.
KEEPALIVES = (
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
)

KEY = "hashtextextended(%s, 0)"
BEGAN = "SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
# A session of ours that the server still keeps, although its connection broke: it holds our locks.
# Its start is compared too: a server that was started again has given the number to another one.
END_BROKEN = f"""
SELECT pg_terminate_backend(pid, 5000) FROM (
    SELECT DISTINCT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND pid = %s AND backend_start = %s
      AND (classid::bigint << 32 | objid::bigint) = {KEY}
) AS broken
"""


class Hold:
    """Locks on one connection of its own."""

    def __init__(self, url: str, names: tuple[str, ...], connection: Connection) -> None:
        """Nothing is locked yet."""
        self._url, self._names = url, names
        self._lost: tuple[str, ...] = ()  # that somebody else had at the last renewal
        self._session: tuple[int, datetime | None] = (connection.info.backend_pid, None)
        self.connection = connection

    async def lock(self) -> None:
        """Wait for every lock, in the order of the names.

        Raises:
            UnavailableError: the database does not answer.
        """
        try:
            await self.connection.execute(KEEPALIVES)
            self._session = await self._own_session()
            for name in self._names:
                await self.connection.execute(f"SELECT pg_advisory_lock({KEY})", [name])
        except psycopg.OperationalError as error:
            raise unavailable(self._url, error) from error

    async def renew(self) -> tuple[str, ...]:
        """Take the locks again where the connection was lost, or somebody else had them.

        Returns:
            The names of the locks that somebody else has now.

        Raises:
            UnavailableError: the database does not answer.
        """
        try:
            if await _does(self.connection, "SELECT 1"):
                self._lost = await self._try(self._lost)
            else:
                self.connection = await connect(self._url, autocommit=True)
                self._lost = await self._take_again()
        except BaseException as error:
            await self.connection.close()  # so that the next try takes all of them
            if isinstance(error, psycopg.OperationalError):
                raise unavailable(self._url, error) from error
            raise
        return self._lost

    async def _take_again(self) -> tuple[str, ...]:
        await self.connection.execute(KEEPALIVES)
        for name in self._names:
            await self.connection.execute(END_BROKEN, [*self._session, name])
        self._session = await self._own_session()
        return await self._try(self._names)

    async def _try(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Take what is free; the names of the others."""
        lost = []
        for name in names:
            cursor = await self.connection.execute(f"SELECT pg_try_advisory_lock({KEY})", [name])
            if not (row := await cursor.fetchone()) or not row[0]:
                lost.append(name)
        return tuple(lost)

    async def _own_session(self) -> tuple[int, datetime | None]:
        """Number and start of our session, which only both together name."""
        row = await (await self.connection.execute(BEGAN)).fetchone()
        return self.connection.info.backend_pid, row[0] if row else None


Again = Callable[[Callable[[], Awaitable[Hold]]], Awaitable[Hold]]
"""Does something, and again where the database does not answer."""


async def _once(do: Callable[[], Awaitable[Hold]]) -> Hold:
    return await do()


class Locks(Database):
    """The locks of jobs and hosts, and one idle connection for the next who wants some."""

    _spare: Connection | None = None
    _keep_spare = True

    @contextlib.asynccontextmanager
    async def hold(self, *names: str, again: Again = _once) -> AsyncIterator[Hold]:
        """Hold locks on one connection of its own, taken in this order; waits for who holds one.

        The locks go with the connection, and so with this process: the sweep takes a running
        job only where its lock is free.

        Args:
            names: a job's id, or a name of a host; whoever takes several takes them in one order.
            again: how to go on where the database is away while we wait.

        Raises:
            UnavailableError: the database does not answer.
        """
        held = await again(lambda: self._take(names))
        try:
            yield held
        finally:
            await self._give_back(held.connection)

    async def close(self) -> None:
        """Close every connection."""
        self._keep_spare = False
        if self._spare is not None:
            await self._spare.close()
        await super().close()

    async def _take(self, names: tuple[str, ...]) -> Hold:
        held = Hold(self._url, names, await self._take_connection())
        try:
            await held.lock()
        except BaseException:
            await self._give_back(held.connection)
            raise
        return held

    async def _take_connection(self) -> Connection:
        """The spare one where it still answers, else a new one."""
        spare, self._spare = self._spare, None
        if spare is not None and await _does(spare, "SELECT 1"):
            return spare
        return await connect(self._url, autocommit=True)

    async def _give_back(self, connection: Connection) -> None:
        """Unlock now: closing would do it too, but only when the server notices."""
        if not await _does(connection, "SELECT pg_advisory_unlock_all()"):
            return  # the locks went with the connection
        if self._keep_spare and self._spare is None:
            self._spare = connection
        else:
            await connection.close()


async def _does(connection: Connection, statement: str) -> bool:
    """Whether a statement succeeds; where it does not, the connection is closed."""
    done = False
    try:
        await connection.execute(statement)
        done = True
    except psycopg.OperationalError:
        pass
    finally:
        if not done:
            await connection.close()
    return done
