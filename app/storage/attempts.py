"""Attempts at a job, for the worker that runs it: claim, store what comes, finish, put back.

The fence: every write of a running job carries its attempt number, which the claim alone raises,
and changes nothing where the job is not running that attempt any more.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import NotFoundError
from app.domain.jobs import TRANSITIONS, Job, JobError, JobStatus, Progress, Stage
from app.domain.readings import Reading, Readings
from app.domain.reports import AttemptEnergy, EnergyReport
from app.storage.database import Database
from app.storage.recovery import end_task
from app.storage.reports import store_report
from app.storage.rows import (
    SELECT_JOB,
    from_live,
    header_of,
    job_from,
    json_from_live,
    pack,
    storable,
    unpack,
    unpack_json,
)
from app.storage.tables import attempts, jobs, live_readings


class Standing(Enum):
    """How an attempt stands, as a write of it has found."""

    GOES_ON = "goes on"
    CANCELLED = "cancelled"  # written, and a user asks for its end
    FENCED = "fenced"  # nothing was written: the attempt is not the newest any more, or has ended


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """The readings of an attempt as they are stored: row by row, or as one value once it ended.

    What makes more of them takes up to a third of a second: it belongs in a thread.
    """

    header: str
    live: Sequence[str]
    packed: bytes | None

    def json(self) -> bytes:
        """What `Readings.to_bytes` gave, without parsing it."""
        return unpack_json(self.packed) if self.packed else json_from_live(self.header, self.live)

    def readings(self) -> Readings:
        """The readings themselves."""
        return unpack(self.packed) if self.packed else from_live(self.header, self.live)


class AttemptRecords(Database):
    """The attempts; nothing is written of one that was fenced."""

    async def claim(
        self,
        job_id: str,
        host: str,
        stage: Stage = Stage.STARTING,
        *,
        attempt: int | None = None,
    ) -> Job | None:
        """Take a waiting job: it runs, and its attempt is one more; null if it does not wait.

        Args:
            job_id: the job.
            host: who takes it.
            stage: what it does first.
            attempt: the number that this claim makes, where an earlier try may have succeeded
                without our knowledge: a job that this host runs in this attempt is ours.
        """
        async with self.transaction() as connection:
            taken = await connection.execute(
                jobs.update()
                .where(jobs.c.id == job_id, jobs.c.status == JobStatus.QUEUED.value)
                .values(
                    status=JobStatus.RUNNING.value,
                    stage=stage.value,
                    attempt=jobs.c.attempt + 1,
                    host=host,
                    started_at=sa.func.coalesce(jobs.c.started_at, sa.func.now()),
                )
            )
            row = (await connection.execute(SELECT_JOB.where(jobs.c.id == job_id))).one_or_none()
            if row is None:
                return None
            if taken.rowcount == 0:
                return job_from(row) if _is_ours(row, host, attempt) else None
            await connection.execute(
                attempts.insert().values(job_id=job_id, attempt=row.attempt, host=host)
            )
            return job_from(row)

    async def cancel_requested(self, job_id: str) -> bool:
        """Whether a user asked for the end of a running job."""
        async with self.transaction() as connection:
            return bool(
                await connection.scalar(
                    sa.select(jobs.c.cancel_requested).where(jobs.c.id == job_id)
                )
            )

    async def begin_attempt(
        self, job_id: str, attempt: int, readings: Readings, *, stage: Stage = Stage.STARTING
    ) -> Standing:
        """Store what is known of an attempt before its readings, and its first readings."""
        async with self.transaction() as connection:
            standing = await _write(connection, job_id, attempt, {"stage": stage.value})
            if standing is Standing.FENCED:
                return standing
            await connection.execute(
                attempts.update().where(_is(job_id, attempt)).values(header=header_of(readings))
            )
            there = await _count(connection, job_id, attempt)
            await _add(connection, job_id, attempt, readings.readings[there:])
            return standing

    async def append(
        self,
        job_id: str,
        attempt: int,
        readings: Sequence[Reading],
        *,
        stage: Stage | None = None,
        progress: Progress | None = None,
        known: int | None = None,
    ) -> Standing:
        """Store further readings; stage and progress stay as they are where none is given.

        Args:
            job_id: the job.
            attempt: its attempt.
            readings: those that follow the stored ones.
            stage: what the job does now.
            progress: how far it is.
            known: how many were stored before, where an earlier try may have stored some of
                `readings` without our knowledge; these are left out.
        """
        news: dict[str, Any] = {}
        if stage is not None:
            news["stage"] = stage.value
        if progress is not None:
            news["progress"] = progress.model_dump_json()
        async with self.transaction() as connection:
            standing = await _write(connection, job_id, attempt, news)
            if standing is Standing.FENCED:
                return standing
            if known is not None:
                readings = readings[await _count(connection, job_id, attempt) - known :]
            await _add(connection, job_id, attempt, readings)
            return standing

    async def finish(
        self,
        job_id: str,
        attempt: int,
        *,
        status: JobStatus,
        error: JobError | None,
        report: EnergyReport,
        readings: Readings | None,
    ) -> bool:
        """Store the end of a job: status, report and readings, in one transaction.

        Without `readings`, those that were stored as they came are kept.

        Raises:
            ValueError: the status is none that a running job ends in.
        """
        if not status.final or status not in TRANSITIONS[JobStatus.RUNNING]:
            raise ValueError(f"expected a final status, received {status!r}")
        end = {
            "status": status.value,
            "stage": None,
            "error": error.model_dump_json() if error else None,
            "finished_at": sa.func.now(),
        }
        async with self.transaction() as connection:
            if await _write(connection, job_id, attempt, end) is Standing.FENCED:
                return False
            await store_report(connection, report)
            await _close(
                connection,
                job_id,
                attempt,
                ended=status.value,
                energy_j=report.energy.total_j,
                readings=readings,
            )
            return True

    async def put_back(
        self,
        job_id: str,
        attempt: int,
        *,
        ended: str,
        energy_j: float | None,
        finish_queue_row: bool,
    ) -> bool:
        """Give a running job back to the queue, as a new task; what it used is kept.

        A job whose end a user has asked for is not put back (false): the sweep finds it as an
        orphan and ends it.

        Args:
            job_id: the job.
            attempt: its attempt that ends here.
            ended: `lost` (its worker vanished) or `stopped` (its worker stops).
            energy_j: what the attempt used, as far as known.
            finish_queue_row: end the old task too, where its worker cannot any more.
        """
        async with self.transaction() as connection:
            back = {"status": JobStatus.QUEUED.value, "stage": None, "progress": None, "host": None}
            old_task = await connection.scalar(
                sa.select(jobs.c.queue_id).where(jobs.c.id == job_id).with_for_update()
            )
            standing = await _write(connection, job_id, attempt, back, ~jobs.c.cancel_requested)
            if standing is Standing.FENCED:
                return False
            await _close(connection, job_id, attempt, ended=ended, energy_j=energy_j, readings=None)
            if finish_queue_row and old_task is not None:
                await end_task(connection, old_task)
            row = (await connection.execute(SELECT_JOB.where(jobs.c.id == job_id))).one()
            queue_id = await self.defer(connection, job_from(row))
            await connection.execute(
                jobs.update().where(jobs.c.id == job_id).values(queue_id=queue_id)
            )
            return True

    async def attempts(self, job_id: str) -> tuple[AttemptEnergy, ...]:
        """How every ended attempt of a job ended, and what it used, by number."""
        ended = (
            sa.select(attempts.c.attempt, attempts.c.ended, attempts.c.energy_j)
            .where(attempts.c.job_id == job_id, attempts.c.ended.is_not(None))
            .order_by(attempts.c.attempt)
        )
        async with self.transaction() as connection:
            rows = (await connection.execute(ended)).all()
        return tuple(
            AttemptEnergy(attempt=row.attempt, ended=row.ended, energy_j=row.energy_j)
            for row in rows
        )

    async def readings(self, job_id: str, attempt: int | None = None) -> Readings | None:
        """The readings of an attempt, the newest if none is named, as far as they are stored.

        Raises:
            NotFoundError: there is no job with this id.
        """
        kept = await self._kept(job_id, attempt)
        return await asyncio.to_thread(kept.readings) if kept else None

    async def readings_json(self, job_id: str, attempt: int | None = None) -> bytes | None:
        """The same as JSON, `Readings.to_bytes`, as it is stored.

        Raises:
            NotFoundError: there is no job with this id.
        """
        kept = await self._kept(job_id, attempt)
        return await asyncio.to_thread(kept.json) if kept else None

    async def _kept(self, job_id: str, attempt: int | None) -> _Kept | None:
        if not storable(job_id):
            raise NotFoundError(f"there is no job {job_id!r}")
        async with self.transaction() as connection:
            known = await connection.scalar(sa.select(jobs.c.attempt).where(jobs.c.id == job_id))
            if known is None:
                raise NotFoundError(f"there is no job {job_id!r}")
            return await _stored(connection, job_id, known if attempt is None else attempt)


def _is(job_id: str, attempt: int) -> sa.ColumnElement[bool]:
    return sa.and_(attempts.c.job_id == job_id, attempts.c.attempt == attempt)


def _is_ours(row: sa.Row[Any], host: str, attempt: int | None) -> bool:
    return (row.status, row.host, row.attempt) == (JobStatus.RUNNING.value, host, attempt)


async def _write(
    connection: AsyncConnection,
    job_id: str,
    attempt: int,
    values: dict[str, Any],
    *more: sa.ColumnElement[bool],
) -> Standing:
    """The fence: change a job that runs this attempt, or find that it does not any more.

    The row stays locked until the transaction ends, so what follows in it is fenced too.
    """
    cancelled = await connection.scalar(
        jobs.update()
        .where(
            jobs.c.id == job_id,
            jobs.c.attempt == attempt,
            jobs.c.status == JobStatus.RUNNING.value,
            *more,
        )
        .values(attempt=attempt, **values)
        .returning(jobs.c.cancel_requested)
    )
    if cancelled is None:
        return Standing.FENCED
    return Standing.CANCELLED if cancelled else Standing.GOES_ON


async def _count(connection: AsyncConnection, job_id: str, attempt: int) -> int:
    """How many readings of a running attempt are stored."""
    stored = sa.select(sa.func.count()).where(
        live_readings.c.job_id == job_id, live_readings.c.attempt == attempt
    )
    return int(await connection.scalar(stored) or 0)


async def _add(
    connection: AsyncConnection, job_id: str, attempt: int, readings: Sequence[Reading]
) -> None:
    if readings:
        await connection.execute(
            live_readings.insert(),
            [
                {"job_id": job_id, "attempt": attempt, "body": reading.to_json()}
                for reading in readings
            ],
        )


async def _close(
    connection: AsyncConnection,
    job_id: str,
    attempt: int,
    *,
    ended: str,
    energy_j: float | None,
    readings: Readings | None,
) -> None:
    """End an attempt: its readings become one value."""
    whole = await _whole(connection, job_id, attempt, readings)
    await connection.execute(
        attempts.update()
        .where(_is(job_id, attempt))
        .values(
            ended=ended,
            ended_at=sa.func.now(),
            energy_j=energy_j,
            header=whole.header if whole else None,
            readings=whole.packed if whole else None,
        )
    )
    await connection.execute(
        live_readings.delete().where(
            live_readings.c.job_id == job_id, live_readings.c.attempt == attempt
        )
    )


async def _whole(
    connection: AsyncConnection, job_id: str, attempt: int, readings: Readings | None
) -> _Kept | None:
    """These readings as one value, or those that were stored as they came; null where none were."""
    if readings is not None:
        packed = await asyncio.to_thread(lambda: pack(readings.to_bytes()))
        return _Kept(header=header_of(readings), live=(), packed=packed)
    kept = await _stored(connection, job_id, attempt)
    if kept is None:
        return None
    packed = await asyncio.to_thread(lambda: pack(kept.json()))
    return _Kept(header=kept.header, live=(), packed=packed)


async def _stored(connection: AsyncConnection, job_id: str, attempt: int) -> _Kept | None:
    """One statement, so that an attempt that ends meanwhile is seen whole, before or after."""
    live = (
        sa.select(
            sa.func.array_agg(
                sa.dialects.postgresql.aggregate_order_by(
                    sa.cast(live_readings.c.body, sa.Text), live_readings.c.id
                ),
                type_=sa.ARRAY(sa.Text),
            )
        )
        .where(live_readings.c.job_id == job_id, live_readings.c.attempt == attempt)
        .scalar_subquery()
    )
    row = (
        await connection.execute(
            sa.select(attempts.c.header, attempts.c.readings, live.label("live")).where(
                _is(job_id, attempt)
            )
        )
    ).one_or_none()
    if row is None or row.header is None:
        return None
    return _Kept(header=row.header, live=row.live or (), packed=row.readings)
