"""Named locks that go with the process that holds them."""

import contextlib
from collections.abc import AsyncIterator
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


class Locks(Database):
    """The locks of jobs and hosts, and one idle connection for the next who wants some."""

    _spare: Connection | None = None
    _keep_spare = True

    @contextlib.asynccontextmanager
    async def hold(self, *names: str) -> AsyncIterator[None]:
        """Hold locks on one connection of its own, taken in this order; waits for who holds one.

        The locks go with the connection, and so with this process: the sweep takes a running
        job only where its lock is free.

        Args:
            names: a job's id, or a name of a host; whoever takes several takes them in one order.

        Raises:
            UnavailableError: the database does not answer.
        """
        connection = await self._take_connection()
        try:
            await self._lock(connection, names)
            yield
        finally:
            await self._give_back(connection)

    async def close(self) -> None:
        """Close every connection."""
        self._keep_spare = False
        if self._spare is not None:
            await self._spare.close()
        await super().close()

    async def _take_connection(self) -> Connection:
        """The spare one where it still answers, else a new one."""
        spare, self._spare = self._spare, None
        if spare is not None and await _does(spare, "SELECT 1"):
            return spare
        return await connect(self._url, autocommit=True)

    async def _lock(self, connection: Connection, names: tuple[str, ...]) -> None:
        try:
            await connection.execute(KEEPALIVES)
            for name in names:
                await connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])
        except psycopg.OperationalError as error:
            raise unavailable(self._url, error) from error

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
