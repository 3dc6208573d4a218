"""Named locks that go with the process that holds them."""

import contextlib
from collections.abc import AsyncIterator

import psycopg

from app.storage.connect import connect, unavailable
from app.storage.database import Database

# A host that vanishes without a word is noticed by the server after 10 + 3 × 5 s, and its locks
# are free then. Without effect on a unix socket.
KEEPALIVES = (
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
)


class Locks(Database):
    """The locks of jobs and hosts."""

    @contextlib.asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Hold the lock of a job or a host on a connection of its own; waits for who holds it.

        The lock goes with the connection, and so with this process: the sweep takes a running
        job only where its lock is free.

        Raises:
            UnavailableError: the database does not answer.
        """
        connection = await connect(self._url)
        try:
            try:
                await connection.set_autocommit(True)
                await connection.execute(KEEPALIVES)
                await connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])
            except psycopg.OperationalError as error:
                raise unavailable(self._url, error) from error
            try:
                yield
            finally:  # closing would free it too, but only when the server notices
                with contextlib.suppress(psycopg.OperationalError):  # it went with the connection
                    await connection.execute("SELECT pg_advisory_unlock_all()")
        finally:
            await connection.close()
