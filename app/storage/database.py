"""One database as the store sees it: a pool of connections, transactions, and the queue beside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import psycopg
import sqlalchemy as sa
from procrastinate.exceptions import ConnectorException
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.domain.jobs import Job
from app.storage.connect import connect, parameters, unavailable
from app.storage.queue import TASK, make_queue, queue_name

OVERFLOW = 5  # connections beyond the pool in a rush; the embedded server takes 50 in all
PING = sa.text("SELECT (SELECT 1 FROM jobs LIMIT 1), (SELECT 1 FROM procrastinate_jobs LIMIT 1)")
LOST = (sa.exc.OperationalError, sa.exc.InterfaceError, psycopg.OperationalError)


class Database:
    """What the parts of the store share. Made by `open`, on a running event loop."""

    def __init__(self, url: str, engine: AsyncEngine) -> None:
        """Keep the engine; connections are made when needed."""
        self._url = url
        self._engine = engine
        self._queue = make_queue(url)

    @classmethod
    async def open(cls, url: str, *, pool_size: int = 5) -> Self:
        """The store of a migrated database that answers.

        Args:
            url: a libpq URL.
            pool_size: connections that are kept open.

        Raises:
            UsageError: it is no libpq URL.
            UnavailableError: nothing answers there.
        """
        parameters(url)
        engine = create_async_engine(
            "postgresql+psycopg://",
            async_creator=lambda: connect(url),
            pool_size=pool_size,
            max_overflow=OVERFLOW,
            pool_pre_ping=True,
        )
        store = cls(url, engine)
        try:
            await store.ping()
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    async def ping(self) -> None:
        """See that our tables and the queue's can be read.

        Raises:
            UnavailableError: the database does not answer.
        """
        async with self.transaction() as connection:
            await connection.execute(PING)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end, rolled back where anything is raised.

        Raises:
            UnavailableError: the database does not answer.
        """
        try:
            async with self._engine.begin() as connection:
                yield connection
        except LOST as error:
            raise unavailable(self._url, getattr(error, "orig", None) or error) from error
        except ConnectorException as error:
            if isinstance(error.__cause__, psycopg.OperationalError):
                raise unavailable(self._url, error.__cause__) from error
            raise

    async def defer(self, connection: AsyncConnection, job: Job) -> int:
        """Make a queue task for a job inside a transaction; its id in the queue.

        The workers are notified when the transaction commits.
        """
        return await self._queue.configure_task(
            TASK,
            queue=queue_name(job.to_train.placement.labels),
            priority=job.to_train.priority,
            connection=await driver(connection),
        ).defer_async(job_id=job.id)

    async def abort(self, connection: AsyncConnection, queue_id: int) -> None:
        """Delete a task that waits, or ask the worker that has it to abort."""
        await self._queue.job_manager.cancel_job_by_id_async(
            queue_id, abort=True, delete_job=True, connection=await driver(connection)
        )


async def driver(connection: AsyncConnection) -> Any:
    """The psycopg connection under a SQLAlchemy connection."""
    return (await connection.get_raw_connection()).driver_connection
