"""Jobs and queue tasks whose worker is gone: found here, and mended where no figure is needed."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.database import Database
from app.storage.queue import TASK
from app.storage.rows import SELECT_JOB, job_from
from app.storage.tables import jobs

# `MATERIALIZED`: the locks are tried for these rows alone.
ORPHANS = sa.text("""
WITH running AS MATERIALIZED (
    SELECT id, attempt, cancel_requested FROM jobs
    WHERE status = 'running' AND NOT EXISTS (
        SELECT 1 FROM hosts
        WHERE hosts.name = jobs.host AND hosts.current_job = jobs.id
          AND hosts.last_seen > now() - make_interval(secs => :lease_s)
    )
)
SELECT id, attempt, cancel_requested FROM running
WHERE pg_try_advisory_xact_lock(hashtextextended(id, 0))
""")

DEAD = """(
    w.id IS NULL OR w.last_heartbeat < now() - make_interval(secs => :lease_s)
)"""

# Jobs that wait while nothing in the queue would start them.
FORGOTTEN = sa.text(f"""
SELECT jobs.id, p.id AS task, p.status = 'doing' AS stuck FROM jobs
LEFT JOIN procrastinate_jobs p ON p.id = jobs.queue_id
LEFT JOIN procrastinate_workers w ON w.id = p.worker_id
WHERE jobs.status = 'queued'
  AND (p.id IS NULL OR p.status NOT IN ('todo', 'doing') OR (p.status = 'doing' AND {DEAD}))
FOR UPDATE OF jobs SKIP LOCKED
""")

# Tasks in the queue that no job needs any more, and that no living worker will end.
LEFT_OVER = sa.text(f"""
SELECT p.id FROM procrastinate_jobs p
LEFT JOIN procrastinate_workers w ON w.id = p.worker_id
WHERE p.task_name = :task
  AND (p.status = 'todo' OR (p.status = 'doing' AND {DEAD}))
  AND NOT EXISTS (
    SELECT 1 FROM jobs WHERE jobs.queue_id = p.id AND jobs.status IN ('queued', 'running')
  )
FOR UPDATE OF p SKIP LOCKED
""")


@dataclass(frozen=True, kw_only=True)
class Orphan:
    """A running job whose worker is gone; `cancel_requested`: its user wants it ended."""

    job_id: str
    attempt: int
    cancel_requested: bool


class Recovery(Database):
    """What the sweep asks for and mends."""

    async def orphans(self, lease_s: float) -> tuple[Orphan, ...]:
        """Running jobs whose lock nobody holds.

        A host that said within `lease_s` seconds that it runs the job is believed: its lock may
        have gone with a restart of the database.
        """
        async with self.transaction() as connection:
            rows = (await connection.execute(ORPHANS, {"lease_s": lease_s})).all()
        return tuple(
            Orphan(job_id=row.id, attempt=row.attempt, cancel_requested=row.cancel_requested)
            for row in rows
        )

    async def mend_queue(self, lease_s: float) -> int:
        """Make jobs and queue agree; how many tasks were made or ended.

        A waiting job without a task that will start it gets a new one; a task that no job needs
        and no worker ends is ended. A worker counts as gone where it is not registered or its
        heartbeat is older than `lease_s` seconds.
        """
        async with self.transaction() as connection:
            forgotten = (await connection.execute(FORGOTTEN, {"lease_s": lease_s})).all()
            for row in forgotten:
                await self._requeue(connection, row.id, row.task if row.stuck else None)
        async with self.transaction() as connection:
            left = await connection.scalars(LEFT_OVER, {"lease_s": lease_s, "task": TASK})
            tasks = left.all()
            for task in tasks:
                await end_task(connection, task)
        return len(forgotten) + len(tasks)

    async def _requeue(
        self, connection: AsyncConnection, job_id: str, stuck_task: int | None
    ) -> None:
        if stuck_task is not None:
            await end_task(connection, stuck_task)
        row = (await connection.execute(SELECT_JOB.where(jobs.c.id == job_id))).one()
        queue_id = await self.defer(connection, job_from(row))
        await connection.execute(jobs.update().where(jobs.c.id == job_id).values(queue_id=queue_id))


async def end_task(connection: AsyncConnection, task: int) -> None:
    """End a task of the queue that is not ended yet: it is deleted, as every ended one is."""
    await connection.execute(
        sa.text(
            "SELECT procrastinate_finish_job_v1(id, 'failed', true) FROM ("
            "SELECT id FROM procrastinate_jobs WHERE id = :task AND status IN ('todo', 'doing') "
            "FOR UPDATE) AS open_task"
        ),
        {"task": task},
    )
