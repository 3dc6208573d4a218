"""Reports of final jobs: kept with their flat rows, given as they are kept, listed by page.

A list is sorted by one column and the job's identifier, and a page begins behind a place in that
order, so that every page is one short walk along an index. Rows without a value come last, in the
order of their identifiers: a walk of its own, for an index gives them first where it is read
backwards.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounting.rows import row
from app.domain.errors import FieldError, NotFoundError, SpecError
from app.domain.jobs import EVERY_JOB, JobFilter
from app.domain.report_rows import NEWEST_FIRST, ReportSort
from app.domain.reports import EnergyReport
from app.storage.database import Database
from app.storage.pages import matches, possible, read_cursor, write_cursor, wrong_cursor
from app.storage.rows import fetch_job, storable
from app.storage.tables import jobs, reports
from app.storage.totals import count_finished

Value = float | datetime
TIMES: tuple[ReportSort, ...] = ("finished_at", "-finished_at")


@dataclass(frozen=True, kw_only=True)
class RowPage:
    """Some flat rows, each as its JSON, and where the next ones begin; null at the end."""

    rows: tuple[str, ...]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class _Place:
    """The row that a page begins behind; among those without a value where that is null."""

    value: Value | None
    job_id: str


class ReportRecords(Database):
    """The reports, for those who ask for them."""

    async def report(self, job_id: str) -> bytes | None:
        """The JSON of a job's report as it was stored; null while the job is not final.

        Raises:
            NotFoundError: there is no job with this id.
        """
        if not storable(job_id):
            raise NotFoundError(f"there is no job {job_id!r}")
        stored = (
            sa.select(reports.c.body)
            .select_from(jobs.outerjoin(reports, reports.c.job_id == jobs.c.id))
            .where(jobs.c.id == job_id)
        )
        async with self.transaction() as connection:
            found = (await connection.execute(stored)).one_or_none()
        if found is None:
            raise NotFoundError(f"there is no job {job_id!r}")
        return None if found.body is None else bytes(found.body)

    async def report_rows(
        self,
        wanted: JobFilter = EVERY_JOB,
        *,
        sort: ReportSort = NEWEST_FIRST,
        limit: int = 50,
        cursor: str | None = None,
    ) -> RowPage:
        """Flat rows of the jobs that are meant; reports added meanwhile do not shift pages.

        Raises:
            SpecError: the cursor is none of ours or one of another sort, or the limit is below 1.
        """
        if limit < 1:
            raise SpecError(FieldError(field="limit", expected="1 or more", received=limit))
        place = None if cursor is None else _read_place(cursor, sort)
        if not possible(wanted):
            return RowPage(rows=(), next_cursor=None)
        async with self.transaction() as connection:
            found = await _walk(connection, wanted, sort, limit + 1, place)
        items, more = found[:limit], found[limit:]
        return RowPage(
            rows=tuple(item.row for item in items),
            next_cursor=_write_place(sort, items[-1]) if more else None,
        )

    async def rows_of(self, job_ids: Sequence[str]) -> dict[str, str]:
        """The flat rows of these jobs, as JSON by identifier; without those that have none."""
        query = sa.select(reports.c.job_id, reports.c.row).where(reports.c.job_id.in_(job_ids))
        async with self.transaction() as connection:
            return {item.job_id: item.row for item in await connection.execute(query)}


async def store_report(connection: AsyncConnection, report: EnergyReport) -> None:
    """Store the report of a job that becomes final in this transaction, and count the job."""
    job = await fetch_job(connection, report.job_id)
    flat = row(report, spec=job.asked, created_at=job.created_at)
    await connection.execute(
        reports.insert().values(
            job_id=report.job_id,
            body=report.model_dump_json().encode(),
            row=flat.model_dump_json(),
            status=report.status.value,
            model_type=job.family,
            host=job.host,
            finished_at=flat.finished_at or sa.func.now(),
            energy_total_j=flat.energy_total_j,
            co2e_g=flat.co2e_g,
            test_accuracy=flat.test_accuracy,
            j_per_sample=flat.j_per_sample,
        )
    )
    await count_finished(connection, report.status, flat.energy_spent_j or 0.0)


async def _walk(
    connection: AsyncConnection,
    wanted: JobFilter,
    sort: ReportSort,
    count: int,
    place: _Place | None,
) -> list[Any]:
    """So many rows behind a place: those with a value, then those without."""
    found: list[Any] = []
    if place is None or place.value is not None:
        found += await connection.execute(_with_value(wanted, sort, place).limit(count))
        place = None  # of those without a value, the first one comes next
    if len(found) < count and _column(sort).nullable:
        rest = _without_value(wanted, sort, place).limit(count - len(found))
        found += await connection.execute(rest)
    return found


def _with_value(
    wanted: JobFilter, sort: ReportSort, place: _Place | None
) -> sa.Select[tuple[Any, ...]]:
    key, job_id = _column(sort), reports.c.job_id
    query = _rows(wanted, sort)
    if key.nullable:
        query = query.where(key.is_not(None))
    if place is not None:
        here, there = sa.tuple_(key, job_id), _literals(place.value, place.job_id)
        query = query.where(here < there if _falls(sort) else here > there)
    if _falls(sort):
        return query.order_by(key.desc(), job_id.desc())
    return query.order_by(key, job_id)


def _without_value(
    wanted: JobFilter, sort: ReportSort, place: _Place | None
) -> sa.Select[tuple[Any, ...]]:
    key, job_id = _column(sort), reports.c.job_id
    query = _rows(wanted, sort).where(key.is_(None))
    if place is not None:
        query = query.where(job_id > place.job_id)
    return query.order_by(key, job_id)  # by both, as the index is


def _rows(wanted: JobFilter, sort: ReportSort) -> sa.Select[tuple[Any, ...]]:
    query = sa.select(reports.c.job_id, _column(sort).label("value"), reports.c.row)
    if wanted.tag is not None or wanted.experiment is not None:
        query = query.join(jobs, jobs.c.id == reports.c.job_id)
    return query.where(*matches(wanted, reports))


def _literals(*values: Any) -> sa.Tuple:
    return sa.tuple_(*map(sa.literal, values))


def _column(sort: ReportSort) -> sa.Column[Any]:
    return reports.c[sort.removeprefix("-")]


def _falls(sort: ReportSort) -> bool:
    return sort.startswith("-")


def _write_place(sort: ReportSort, item: Any) -> str:
    value = item.value.isoformat() if isinstance(item.value, datetime) else item.value
    return write_cursor(sort, value, item.job_id)


def _read_place(cursor: str, sort: ReportSort) -> _Place:
    of, value, job_id = read_cursor(cursor, 3)
    if of != sort or not isinstance(job_id, str) or not storable(job_id):
        raise wrong_cursor(cursor)
    if value is None and _column(sort).nullable:
        return _Place(value=None, job_id=job_id)
    try:
        return _Place(value=_moment(value) if sort in TIMES else _number(value), job_id=job_id)
    except (ValueError, TypeError, OverflowError) as error:
        raise wrong_cursor(cursor) from error


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"expected a time zone, received {value!r}")
    return moment


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"expected a finite number, received {value!r}")
    return float(value)
