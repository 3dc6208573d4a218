"""Experiments: their jobs made in one transaction, listed, and ended once."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.analysis.experiments import Run
from app.domain.errors import NotFoundError
from app.domain.experiments import Ended, Experiment, ExperimentSpec, Variant
from app.domain.jobs import JobStatus
from app.domain.quotes import Quoted
from app.domain.report_rows import ReportRow
from app.domain.specs import JobSpec
from app.storage.database import Database
from app.storage.jobs import add_job, lock_queue, room_for
from app.storage.pages import read_cursor, write_cursor, wrong_cursor
from app.storage.rows import storable, utc
from app.storage.tables import experiments, jobs, reports

UNFINISHED = (JobStatus.QUEUED.value, JobStatus.RUNNING.value)
SETTLED = "experiment_ended"  # the error code of jobs that were not needed any more


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A job of an experiment: of which variant and block."""

    spec: JobSpec
    variant: int
    block: int
    quoted: Quoted


@dataclass(frozen=True, kw_only=True)
class ExperimentPage:
    """Some experiments, newest first, and where the next ones begin; null at the end."""

    items: tuple[Experiment, ...]
    next_cursor: str | None


class ExperimentRecords(Database):
    """The experiments."""

    async def add_experiment(
        self,
        spec: ExperimentSpec,
        variants: Sequence[Variant],
        placed: Sequence[Placed],
        *,
        max_queued: int,
    ) -> Experiment:
        """Make an experiment with all of its jobs, in their order, or nothing.

        Raises:
            QueueFullError: there is no room for all of them in the queue.
        """
        name = str(uuid.uuid4())
        async with self.transaction() as connection:
            await lock_queue(connection)
            await room_for(connection, len(placed), max_queued)
            await connection.execute(
                experiments.insert().values(
                    id=name,
                    name=spec.name,
                    spec=spec.model_dump_json(),
                    variants=json.dumps([v.model_dump() for v in variants]),
                )
            )
            for one in placed:
                made = one.spec.model_copy(update={"experiment_id": name})
                await add_job(
                    self,
                    connection,
                    made,
                    variant=one.variant,
                    block=one.block,
                    quoted=one.quoted,
                )
            return await _fetch(connection, name)

    async def experiment(self, experiment_id: str) -> Experiment:
        """An experiment as it is now.

        Raises:
            NotFoundError: there is none with this id.
        """
        async with self.transaction() as connection:
            return await _fetch(connection, experiment_id)

    async def list_experiments(
        self, *, limit: int = 50, cursor: str | None = None
    ) -> ExperimentPage:
        """Experiments, newest first.

        Raises:
            SpecError: the cursor is none of ours.
        """
        query = sa.select(experiments)
        if cursor is not None:
            place = sa.tuple_(*map(sa.literal, _read_place(cursor)))
            query = query.where(sa.tuple_(experiments.c.created_at, experiments.c.id) < place)
        query = query.order_by(experiments.c.created_at.desc(), experiments.c.id.desc())
        async with self.transaction() as connection:
            rows = (await connection.execute(query.limit(limit + 1))).all()
            counts = await _counts(connection, [row.id for row in rows])
        items = tuple(_from_row(row, counts.get(row.id, {})) for row in rows[:limit])
        last = rows[limit - 1] if len(rows) > limit else None
        following = write_cursor(last.created_at.isoformat(), last.id) if last else None
        return ExperimentPage(items=items, next_cursor=following)

    async def unsettled(self) -> tuple[str, ...]:
        """Those that go on without a job that could end, and those that ended with some waiting."""
        unfinished = sa.exists().where(
            jobs.c.experiment_id == experiments.c.id, jobs.c.status.in_(UNFINISHED)
        )
        over = sa.select(experiments.c.id).where(experiments.c.ended.is_(None), ~unfinished)
        left = (
            sa.select(experiments.c.id)
            .select_from(jobs.join(experiments, experiments.c.id == jobs.c.experiment_id))
            .where(jobs.c.status == JobStatus.QUEUED.value, experiments.c.ended.is_not(None))
        )
        async with self.transaction() as connection:
            return tuple(await connection.scalars(sa.union(over, left)))

    async def runs(self, experiment_id: str) -> tuple[Run, ...]:
        """Its jobs in the order of their blocks, with the rows of those that are final."""
        query = (
            sa.select(jobs.c.variant, jobs.c.block, jobs.c.status, jobs.c.error, reports.c.row)
            .select_from(jobs.outerjoin(reports, reports.c.job_id == jobs.c.id))
            .where(jobs.c.experiment_id == experiment_id)
            .order_by(jobs.c.block, jobs.c.queue_id)
        )
        async with self.transaction() as connection:
            found = (await connection.execute(query)).all()
        return tuple(
            Run(
                variant=row.variant,
                block=row.block,
                status=JobStatus(row.status),
                row=ReportRow.model_validate_json(row.row) if row.row else None,
                unneeded=bool(row.error) and json.loads(row.error)["code"] == SETTLED,
            )
            for row in found
        )

    async def end_experiment(self, experiment_id: str, ended: Ended) -> bool:
        """Say by what it has ended; false where that was said before."""
        async with self.transaction() as connection:
            done = await connection.execute(
                experiments.update()
                .where(experiments.c.id == experiment_id, experiments.c.ended.is_(None))
                .values(ended=ended, ended_at=sa.func.now())
            )
            return bool(done.rowcount)

    async def unfinished(self, experiment_id: str) -> tuple[str, ...]:
        """Its jobs that wait or run, those that would run last first."""
        query = (
            sa.select(jobs.c.id)
            .where(
                jobs.c.experiment_id == experiment_id,
                jobs.c.status.in_(UNFINISHED),
            )
            .order_by(jobs.c.queue_id.desc())
        )
        async with self.transaction() as connection:
            return tuple(await connection.scalars(query))


def _read_place(cursor: str) -> tuple[datetime, str]:
    moment, name = read_cursor(cursor, 2)
    try:
        created_at = datetime.fromisoformat(moment)
    except (ValueError, TypeError) as error:
        raise wrong_cursor(cursor) from error
    if created_at.tzinfo is None or not isinstance(name, str) or not storable(name):
        raise wrong_cursor(cursor)
    return created_at, name


async def _fetch(connection: AsyncConnection, experiment_id: str) -> Experiment:
    missing = NotFoundError(f"there is no experiment {experiment_id!r}")
    if not storable(experiment_id):
        raise missing
    query = sa.select(experiments).where(experiments.c.id == experiment_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise missing
    counts = await _counts(connection, [row.id])
    return _from_row(row, counts.get(row.id, {}))


async def _counts(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many jobs of each experiment have which status."""
    query = (
        sa.select(jobs.c.experiment_id, jobs.c.status, sa.func.count().label("jobs"))
        .where(jobs.c.experiment_id.in_(ids))
        .group_by(jobs.c.experiment_id, jobs.c.status)
        .order_by(jobs.c.status)
    )
    found: dict[str, dict[str, int]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.experiment_id, {})[row.status] = row.jobs
    return found


def _from_row(row: sa.Row[tuple[object, ...]], counts: dict[str, int]) -> Experiment:
    return Experiment(
        id=row.id,
        name=row.name,
        spec=ExperimentSpec.model_validate_json(row.spec),
        variants=tuple(Variant.model_validate(one) for one in json.loads(row.variants)),
        jobs=counts,
        ended=row.ended,
        created_at=utc(row.created_at),
        ended_at=utc(row.ended_at),
    )
