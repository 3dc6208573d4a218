"""Jobs as users see them: submit, get, list, cancel."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import FieldError, QueueFullError, SpecError, StateError
from app.domain.jobs import EVERY_JOB, Job, JobError, JobFilter, JobStatus
from app.domain.quotes import Quoted
from app.domain.reports import EnergyReport
from app.domain.specs import JobSpec
from app.storage.database import Database
from app.storage.idempotency import forget_old_keys, job_of_key, keep_key
from app.storage.pages import matches, possible, read_cursor, write_cursor, wrong_cursor
from app.storage.reports import store_report
from app.storage.rows import SELECT_JOB, fetch_job, job_from, storable
from app.storage.tables import jobs

SUBMIT_LOCK = 7_236_451_908_112_002  # held while the queue is counted and a job is added


@dataclass(frozen=True, kw_only=True)
class JobPage:
    """Some jobs, newest first, and where the next ones begin; null at the end."""

    items: tuple[Job, ...]
    next_cursor: str | None


class JobRecords(Database):
    """The jobs, for those who ask for them."""

    async def submit(
        self,
        spec: JobSpec,
        *,
        max_queued: int,
        key: str | None = None,
        quoted: Quoted | None = None,
    ) -> Job:
        """Add a job and its queue task in one transaction; where the key has one, that job.

        Raises:
            SpecError: a tag holds what cannot be stored.
            QueueFullError: `max_queued` jobs wait already.
            IdempotencyError: the key stands for another spec.
        """
        _check_tags(spec)
        async with self.transaction() as connection:
            await lock_queue(connection)
            await forget_old_keys(connection)
            if key is not None and (known := await job_of_key(connection, key, spec)):
                return await fetch_job(connection, known)
            await room_for(connection, 1, max_queued)
            job = await add_job(self, connection, spec, quoted=quoted)
            if key is not None:
                await keep_key(connection, key, spec, job.id)
            return job

    async def submitted(self, spec: JobSpec, key: str) -> Job | None:
        """The job that was submitted under a key that is still kept; null where there is none.

        Raises:
            IdempotencyError: the key stands for another spec.
        """
        async with self.transaction() as connection:
            known = await job_of_key(connection, key, spec)
            return await fetch_job(connection, known) if known else None

    async def get(self, job_id: str) -> Job:
        """A job as it is now.

        Raises:
            NotFoundError: there is none with this id.
        """
        async with self.transaction() as connection:
            return await fetch_job(connection, job_id)

    async def list_jobs(
        self, wanted: JobFilter = EVERY_JOB, *, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """Jobs that are meant, newest first; jobs added meanwhile do not shift pages.

        Raises:
            SpecError: the cursor is none of ours, or the limit is below 1.
        """
        if limit < 1:
            raise SpecError(FieldError(field="limit", expected="1 or more", received=limit))
        query = SELECT_JOB.where(*matches(wanted))
        if cursor is not None:
            query = query.where(_before(cursor))
        query = query.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit + 1)
        if not possible(wanted):
            return JobPage(items=(), next_cursor=None)
        async with self.transaction() as connection:
            found = [job_from(row) for row in await connection.execute(query)]
        items = tuple(found[:limit])
        return JobPage(items=items, next_cursor=_cursor(items[-1]) if found[limit:] else None)

    async def cancel(
        self,
        job_id: str,
        queued_report: Callable[[Job], EnergyReport],
        *,
        error: JobError | None = None,
    ) -> Job:
        """Cancel a job: one that waits at once, with that report; one that runs by its worker.

        Args:
            job_id: the job.
            queued_report: makes the report of one that waits.
            error: why one that waits is not needed any more; null: its user cancels it.

        Raises:
            NotFoundError: there is none with this id.
            StateError: it is final already.
        """
        async with self.transaction() as connection:
            job, queue_id = await _lock(connection, job_id)
            if job.status.final:
                raise StateError(f"job {job_id} is {job.status} already", status=job.status)
            this = jobs.update().where(jobs.c.id == job.id)
            if job.status is JobStatus.QUEUED:
                why = error.model_dump_json() if error else None
                await connection.execute(
                    this.values(
                        status=JobStatus.CANCELLED.value, finished_at=sa.func.now(), error=why
                    )
                )
                await store_report(connection, queued_report(job))
            else:
                await connection.execute(this.values(cancel_requested=True))
            if queue_id is not None:
                await self.abort(connection, queue_id)
            return await fetch_job(connection, job.id)


def _check_tags(spec: JobSpec) -> None:
    wrong = [key for key, value in spec.tags.items() if not storable(value)]
    if wrong:
        raise SpecError(
            *(
                FieldError(
                    field=f"tags.{key}", expected="text without NUL", received=spec.tags[key]
                )
                for key in wrong
            )
        )


async def lock_queue(connection: AsyncConnection) -> None:
    """Let nobody else add jobs until the transaction ends."""
    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(SUBMIT_LOCK)))


async def room_for(connection: AsyncConnection, count: int, max_queued: int) -> None:
    """See that so many more jobs may wait.

    Raises:
        QueueFullError: they may not.
    """
    waiting = await connection.scalar(
        sa.select(sa.func.count()).where(jobs.c.status == JobStatus.QUEUED.value)
    )
    if int(waiting or 0) + count > max_queued:
        more = "" if count == 1 else f", {count} more are too many"
        raise QueueFullError(
            f"{waiting} jobs wait already and at most {max_queued} may{more}: try again later"
        )


async def add_job(
    queue: Database,
    connection: AsyncConnection,
    spec: JobSpec,
    *,
    variant: int | None = None,
    block: int | None = None,
    quoted: Quoted | None = None,
) -> Job:
    """Add a job and its task in the queue, in a transaction."""
    job_id = await connection.scalar(_insert(spec, variant, block, quoted))
    queue_id = await queue.defer(connection, await fetch_job(connection, str(job_id)))
    await connection.execute(jobs.update().where(jobs.c.id == job_id).values(queue_id=queue_id))
    return await fetch_job(connection, str(job_id))


def _insert(
    spec: JobSpec, variant: int | None, block: int | None, quoted: Quoted | None
) -> sa.Insert | sa.sql.dml.ReturningInsert[tuple[str]]:
    return (
        jobs.insert()
        .values(
            id=str(uuid.uuid4()),
            status=JobStatus.QUEUED.value,
            spec=spec.model_dump_json(),
            spec_sha256=spec.sha256(),
            model_type=spec.model_type,
            priority=spec.priority,
            label=next(iter(spec.placement.labels), None),
            tags=spec.tags,
            experiment_id=spec.experiment_id,
            variant=variant,
            block=block,
            work=quoted.work.model_dump_json() if quoted else None,
            quote=quoted.quote.model_dump_json() if quoted else None,
        )
        .returning(jobs.c.id)
    )


async def _lock(connection: AsyncConnection, job_id: str) -> tuple[Job, int | None]:
    """A job that nobody else changes until the transaction ends, and its id in the queue."""
    if storable(job_id):
        await connection.execute(sa.select(jobs.c.id).where(jobs.c.id == job_id).with_for_update())
    job = await fetch_job(connection, job_id)
    return job, await connection.scalar(sa.select(jobs.c.queue_id).where(jobs.c.id == job_id))


def _before(cursor: str) -> sa.ColumnElement[bool]:
    """The jobs of the pages that follow a cursor."""
    created_at, job_id = _read_cursor(cursor)
    place = sa.tuple_(sa.literal(created_at), sa.literal(job_id))
    return sa.tuple_(jobs.c.created_at, jobs.c.id) < place


def _cursor(job: Job) -> str:
    return write_cursor(job.created_at.isoformat(), job.id)


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    moment, job_id = read_cursor(cursor, 2)
    try:
        created_at = datetime.fromisoformat(moment)
    except (ValueError, TypeError) as error:
        raise wrong_cursor(cursor) from error
    if created_at.tzinfo is None or not isinstance(job_id, str) or not storable(job_id):
        raise wrong_cursor(cursor)
    return created_at, job_id
