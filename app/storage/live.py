"""A job as it goes on, read for those who follow it: little at a time, and only what is new."""

import asyncio
from dataclasses import dataclass

import sqlalchemy as sa

from app.domain.errors import NotFoundError
from app.domain.events import Standing
from app.domain.jobs import JobError, JobStatus, Progress, Stage
from app.domain.readings import Reading, Readings
from app.storage.database import Database
from app.storage.rows import from_live, storable, unpack
from app.storage.tables import attempts, jobs, live_readings


@dataclass(frozen=True, kw_only=True)
class FreshReadings:
    """Further readings of an attempt.

    Attributes:
        readings: in their order.
        last_id: where to go on; null where none is stored row by row.
        whole: whether the attempt has ended, and these are all that are left.
    """

    readings: tuple[Reading, ...]
    last_id: int | None
    whole: bool


class LiveRecords(Database):
    """What is new of a job."""

    async def standing(self, job_id: str) -> tuple[Standing, Progress | None]:
        """Where a job stands and how far it is, without the rest of it.

        Raises:
            NotFoundError: there is none with this id.
        """
        columns = (jobs.c.status, jobs.c.stage, jobs.c.attempt, jobs.c.error, jobs.c.progress)
        row = None
        if storable(job_id):
            async with self.transaction() as connection:
                found = await connection.execute(sa.select(*columns).where(jobs.c.id == job_id))
                row = found.one_or_none()
        if row is None:
            raise NotFoundError(f"there is no job {job_id!r}")
        standing = Standing(
            status=JobStatus(row.status),
            stage=Stage(row.stage) if row.stage else None,
            attempt=row.attempt,
            error=JobError.model_validate_json(row.error) if row.error else None,
        )
        return standing, Progress.model_validate_json(row.progress) if row.progress else None

    async def attempt_head(self, job_id: str, attempt: int) -> Readings | None:
        """What is known of an attempt but its readings; null where it has not begun to read."""
        async with self.transaction() as connection:
            header = await connection.scalar(
                sa.select(attempts.c.header).where(_is(job_id, attempt))
            )
        return from_live(header, ()) if header else None

    async def ends(self, job_id: str, attempt: int) -> Readings | None:
        """An attempt with its first and its two newest readings; null where it has none yet."""
        of_it = sa.and_(live_readings.c.job_id == job_id, live_readings.c.attempt == attempt)
        rows = sa.select(live_readings.c.id, live_readings.c.body).where(of_it)
        async with self.transaction() as connection:
            header = await connection.scalar(
                sa.select(attempts.c.header).where(_is(job_id, attempt))
            )
            first = await connection.execute(rows.order_by(live_readings.c.id).limit(1))
            newest = await connection.execute(rows.order_by(live_readings.c.id.desc()).limit(2))
            found = {row.id: row.body for row in (*first, *newest)}
        if not header or not found:
            return None
        return from_live(header, [found[number] for number in sorted(found)])

    async def fresh_readings(
        self, job_id: str, attempt: int, *, known: int, after_id: int | None, limit: int
    ) -> FreshReadings:
        """The readings of an attempt that are new; `limit` of them at most while it runs.

        Args:
            job_id: the job.
            attempt: its attempt.
            known: how many come before them.
            after_id: the `last_id` of the call before; null where there was none.
            limit: how many are read at once.
        """
        rows = (
            sa.select(live_readings.c.id, live_readings.c.body)
            .where(live_readings.c.job_id == job_id, live_readings.c.attempt == attempt)
            .order_by(live_readings.c.id)
            .limit(limit)
        )
        rows = rows.offset(known) if after_id is None else rows.where(live_readings.c.id > after_id)
        async with self.transaction() as connection:
            ended = (
                await connection.execute(
                    sa.select(attempts.c.readings).where(
                        _is(job_id, attempt), attempts.c.ended.is_not(None)
                    )
                )
            ).one_or_none()
            found = [] if ended else (await connection.execute(rows)).all()
        if ended:
            packed = ended.readings
            whole = (await asyncio.to_thread(unpack, packed)).readings if packed else ()
            return FreshReadings(readings=whole[known:], last_id=None, whole=True)
        return FreshReadings(
            readings=tuple(Reading.model_validate_json(row.body) for row in found),
            last_id=found[-1].id if found else after_id,
            whole=False,
        )


def _is(job_id: str, attempt: int) -> sa.ColumnElement[bool]:
    return sa.and_(attempts.c.job_id == job_id, attempts.c.attempt == attempt)
