"""Figures over all jobs and hosts, each as cheap with a million finished jobs as with none."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.jobs import JobStatus
from app.storage.database import Database
from app.storage.tables import hosts, jobs, totals

UNFINISHED = (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True, kw_only=True)
class FinishedFigures:
    """How many jobs ended in one final status, and the joules of all their attempts."""

    jobs: int
    energy_j: float


@dataclass(frozen=True, kw_only=True)
class HostFigures:
    """One host: seconds since its last sign of life, and what it does."""

    silence_s: float
    ready: bool
    running: bool


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Everything that is counted, at one moment; the maps are by status and by host name."""

    unfinished: dict[str, int]
    finished: dict[str, FinishedFigures]
    hosts: dict[str, HostFigures]


class Totals(Database):
    """What is counted."""

    async def figures(self) -> Figures:
        """All figures of now."""
        unfinished = (
            sa.select(jobs.c.status, sa.func.count().label("jobs"))
            .where(jobs.c.status.in_([status.value for status in UNFINISHED]))
            .group_by(jobs.c.status)
        )
        seen = sa.select(
            hosts.c.name,
            sa.extract("epoch", sa.func.now() - hosts.c.last_seen).label("silence_s"),
            sa.cast(hosts.c.body.op("->>")("ready"), sa.Boolean).label("ready"),
            hosts.c.current_job.is_not(None).label("running"),
        ).order_by(hosts.c.name)
        async with self.transaction() as connection:
            waiting = {row.status: row.jobs for row in await connection.execute(unfinished)}
            ended = (await connection.execute(sa.select(totals).order_by(totals.c.status))).all()
            known = (await connection.execute(seen)).all()
        return Figures(
            unfinished={status.value: waiting.get(status.value, 0) for status in UNFINISHED},
            finished={
                row.status: FinishedFigures(jobs=row.jobs, energy_j=row.energy_j) for row in ended
            },
            hosts={
                row.name: HostFigures(
                    silence_s=max(0.0, float(row.silence_s)), ready=row.ready, running=row.running
                )
                for row in known
            },
        )


async def count_finished(connection: AsyncConnection, status: JobStatus, energy_j: float) -> None:
    """Count a job that becomes final in this transaction; the count stays locked to its end."""
    counted = insert(totals).values(status=status.value, jobs=1, energy_j=energy_j)
    more = {
        "jobs": totals.c.jobs + counted.excluded.jobs,
        "energy_j": totals.c.energy_j + counted.excluded.energy_j,
    }
    await connection.execute(counted.on_conflict_do_update(index_elements=["status"], set_=more))
