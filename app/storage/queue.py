"""The queue: one task, one queue a label, and procrastinate on the same database as our rows."""

import asyncio
import logging
from collections.abc import Iterable

import procrastinate
from procrastinate.exceptions import ConnectorException
from procrastinate.manager import JobManager, NotificationCallback

logger = logging.getLogger(__name__)

TASK = "train"
ANY = "any"  # the queue of jobs that may run on every worker
LISTEN_AGAIN_S = 1.0


class PatientManager(JobManager):
    """Procrastinate's manager, whose listener and heartbeat outlive a restart of the database.

    Procrastinate 3.10 ends either at the first refused connection, and nobody notices: it watches
    its side tasks only until the first of them returns, which the deferrer of periodic tasks does
    at once where there are none (procrastinate issue 1597).
    """

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

    async def update_heartbeat(self, worker_id: int) -> None:
        """Say that a worker lives; the next one follows where this one is lost."""
        try:
            await super().update_heartbeat(worker_id)
        except ConnectorException as error:
            logger.warning("the queue does not take the heartbeat: %s", error.__cause__ or error)


def make_queue(url: str) -> procrastinate.App:
    """The queue on a database, given as a libpq URL; it opens no connection yet."""
    queue = procrastinate.App(
        connector=procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=3)
    )
    queue.job_manager = PatientManager(queue.connector)
    return queue


def queue_name(labels: tuple[str, ...]) -> str:
    """The queue of a job: its one label, or the queue that every worker listens to."""
    return labels[0] if labels else ANY
