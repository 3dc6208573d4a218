"""What quotes are made from, jobs that ran through with their work, and what became of quotes."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError

from app.analysis.quotes import done
from app.domain.jobs import Job, JobStatus
from app.domain.quotes import Past, QuoteRecord, Work
from app.storage.database import Database
from app.storage.rows import SELECT_JOB, job_from
from app.storage.tables import jobs, reports

logger = logging.getLogger(__name__)

PAST = 200  # jobs of a family on a host that are looked at, newest first
RECORDS = 10_000  # quotes that a track record is of, newest first


class QuoteRecords(Database):
    """The past that quotes are made from, and their track record."""

    async def past(self, model_type: str, host: str) -> tuple[Past, ...]:
        """Jobs of a family that succeeded on a host, newest first, as far as they say enough."""
        query = (
            sa.select(
                jobs.c.work,
                reports.c.energy_total_j.label("energy_j"),
                _of_row("duration_s").label("duration_s"),
                _of_row("samples").label("samples"),
            )
            .select_from(reports.join(jobs, jobs.c.id == reports.c.job_id))
            .where(
                reports.c.model_type == model_type,
                reports.c.host == host,
                reports.c.status == JobStatus.SUCCEEDED.value,
                jobs.c.work.is_not(None),
                reports.c.energy_total_j > 0,
                _of_row("samples") > 0,
            )
            .order_by(reports.c.finished_at.desc())
            .limit(PAST)
        )
        async with self.transaction() as connection:
            rows = (await connection.execute(query)).all()
        return tuple(one for row in rows if (one := _past(row)) is not None)

    async def newest(
        self, spec_sha256: str, *, host: str, labels: Sequence[str], since: datetime
    ) -> Job | None:
        """The newest job of a spec that succeeded on a host, else that ran or may run there.

        Args:
            spec_sha256: the identity of the spec.
            host: the host.
            labels: of waiting jobs that it takes; those without a label are taken anyway.
            since: older ones do not count.
        """
        nowhere = sa.and_(  # it waits, or was cancelled before it ran
            jobs.c.host.is_(None),
            sa.or_(jobs.c.label.is_(None), jobs.c.label.in_(labels)),
        )
        query = (
            SELECT_JOB.where(
                jobs.c.spec_sha256 == spec_sha256,
                jobs.c.created_at >= since,
                sa.or_(jobs.c.host == host, nowhere),
            )
            .order_by(
                sa.desc(jobs.c.status == JobStatus.SUCCEEDED.value),
                jobs.c.created_at.desc(),
                jobs.c.id.desc(),
            )
            .limit(1)
        )
        async with self.transaction() as connection:
            row = (await connection.execute(query)).one_or_none()
        return job_from(row) if row else None

    async def quote_records(self) -> tuple[QuoteRecord, ...]:
        """The newest quotes with figures whose job ran through, on the host that they were of."""
        query = (
            sa.select(
                reports.c.host,
                reports.c.model_type,
                _quoted("energy_j").label("quoted_j"),
                _quoted("energy_low_j").label("low_j"),
                _quoted("energy_high_j").label("high_j"),
                reports.c.energy_total_j.label("energy_j"),
                _quoted("duration_s").label("quoted_s"),
                _quoted("duration_low_s").label("low_s"),
                _quoted("duration_high_s").label("high_s"),
                _of_row("duration_s").label("duration_s"),
            )
            .select_from(reports.join(jobs, jobs.c.id == reports.c.job_id))
            .where(
                reports.c.status == JobStatus.SUCCEEDED.value,
                jobs.c.quote.op("->>")("basis") != "none",
                jobs.c.quote.op("->>")("host") == reports.c.host,
                _of_row("samples") >= sa.cast(jobs.c.work.op("->>")("samples"), sa.Double),
                reports.c.energy_total_j > 0,
            )
            .order_by(reports.c.finished_at.desc())
            .limit(RECORDS)
        )
        async with self.transaction() as connection:
            return tuple(QuoteRecord(*row) for row in await connection.execute(query))


def _quoted(name: str) -> sa.ColumnElement[float]:
    return sa.cast(jobs.c.quote.op("->>")(name), sa.Double)


def _of_row(name: str) -> sa.ColumnElement[float]:
    return sa.cast(reports.c.row.op("->>")(name), sa.Double)


def _past(row: sa.Row[Any]) -> Past | None:
    """A job that has run; null where its work was kept by a version that counts otherwise."""
    try:
        planned = Work.model_validate_json(row.work)
    except ValidationError as error:
        logger.warning("the work of a job is of another version, and left out: %s", error)
        return None
    return Past(
        work=done(planned, int(row.samples)), energy_j=row.energy_j, duration_s=row.duration_s
    )
