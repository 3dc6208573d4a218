"""The queue: one task, one queue a label, and procrastinate on the same database as our rows."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import procrastinate
import psycopg
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager, NotificationCallback

logger = logging.getLogger(__name__)

TASK = "train"
ANY = "any"  # the queue of jobs that may run on every worker
LISTEN_AGAIN_S = 1.0
AGAIN_S = 0.5  # until what failed for want of a database is tried again
CONNECTION_S = 2.0  # for which a connection is waited for
LET_GO = """
SELECT procrastinate_finish_job_v1(id, 'failed', true) FROM (
    SELECT id FROM procrastinate_jobs
    WHERE worker_id = %(worker_id)s AND status = 'doing' FOR UPDATE
) AS lost
"""

Answer = TypeVar("Answer")


class PatientManager(JobManager):
    """Procrastinate's manager, whose worker outlives a restart of the database.

    Procrastinate 3.10 ends its listener and its heartbeat at the first refused connection, and
    nobody notices: it watches its side tasks only until the first of them returns, which the
    deferrer of periodic tasks does at once where there are none (procrastinate issue 1597). A fetch
    that fails ends its worker. Here each is tried again; who has to give up sees that elsewhere.
    """

    stopping = False  # from then on nothing is tried again

    async def listen_for_jobs(
        self, *, on_notification: NotificationCallback, queues: Iterable[str] | None = None
    ) -> None:
        """Listen until cancelled; what is missed meanwhile, the worker's polling finds."""
        while True:
            try:
                await super().listen_for_jobs(on_notification=on_notification, queues=queues)
            except ConnectorException as error:
                logger.warning("the queue cannot be listened to: %s", error.__cause__ or error)
            await asyncio.sleep(LISTEN_AGAIN_S)

    async def register_worker(self) -> int:
        """Announce a worker; its number."""
        return await self._again(super().register_worker)

    async def prune_stalled_workers(self, seconds_since_heartbeat: float) -> list[int]:
        """Strike off workers that have been silent for so many seconds; their numbers."""
        prune = super().prune_stalled_workers
        return await self._again(lambda: prune(seconds_since_heartbeat))

    async def update_heartbeat(self, worker_id: int) -> None:
        """Say that a worker lives; the next one follows where this one is lost."""
        try:
            await super().update_heartbeat(worker_id)
        except ConnectorException as error:
            logger.warning("the queue does not take the heartbeat: %s", error.__cause__ or error)

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """The next task, if there is one; null too where the worker stops without a database."""
        fetch, tries = super().fetch_job, itertools.count()

        async def once() -> Job | None:
            if next(tries):
                await self._let_go(worker_id)
            return await fetch(queues=queues, worker_id=worker_id)

        try:
            return await self._again(once)
        except ConnectorException as error:
            if self.stopping and lost(error):
                return None
            raise

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """End a task; one that somebody else has ended stays as it is."""
        finish = super().finish_job
        try:
            await self._again(lambda: finish(job=job, status=status, delete_job=delete_job))
        except ConnectorException as error:
            if not isinstance(error.__cause__, psycopg.errors.RaiseException):
                raise
            logger.warning("task %s was ended by somebody else: %s", job.id, error.__cause__)

    async def _let_go(self, worker_id: int) -> None:
        """End what the database has handed out without our knowing; the sweep makes it new tasks.

        A worker of ours has one task at a time, and none in hand while it asks for the next.
        """
        await self.connector.execute_query_async(LET_GO, worker_id=worker_id)

    async def _again(self, do: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do it, again and again where the database is away."""
        said = False
        while True:
            try:
                return await do()
            except ConnectorException as error:
                if self.stopping or not lost(error):
                    raise
                if not said:
                    logger.warning("the queue does not answer: %s", error.__cause__ or error)
                said = True
            await asyncio.sleep(AGAIN_S)


def lost(error: ConnectorException) -> bool:
    """Whether the database did not answer, or its disk is full; else the fault is another one."""
    return isinstance(error.__cause__, psycopg.OperationalError)


def make_queue(url: str) -> procrastinate.App:
    """The queue on a database, given as a libpq URL; it opens no connection yet.

    The pool tries a lost connection again by itself with pauses that double up to minutes; here it
    leaves that to its callers, so that the queue is there as soon as its database is.
    """
    queue = procrastinate.App(
        connector=procrastinate.PsycopgConnector(
            conninfo=url,
            min_size=1,
            max_size=3,
            timeout=CONNECTION_S,
            reconnect_timeout=AGAIN_S,
        )
    )
    queue.job_manager = PatientManager(queue.connector)
    return queue


def queue_name(labels: tuple[str, ...]) -> str:
    """The queue of a job: its one label, or the queue that every worker listens to."""
    return labels[0] if labels else ANY
