"""Reports: rows and sort keys as stored, pages in every order, filters, refused cursors."""

import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, get_args

import psycopg
import pytest
import sqlalchemy as sa

from app.domain.errors import NotFoundError, SpecError
from app.domain.jobs import JobFilter, JobStatus
from app.domain.report_rows import ReportRow, ReportSort
from app.domain.reports import EnergyReport
from app.domain.specs import JobSpec
from app.storage.pages import write_cursor
from app.storage.store import RowPage, Store

Spec = Callable[..., JobSpec]
Report = Callable[..., EnergyReport]
SORTS: tuple[ReportSort, ...] = get_args(ReportSort)
# (energy, accuracy, energy per sample): ties, zeros, and rows without a value
FIGURES = [
    (5.0, 0.9, 0.1),
    (None, None, None),
    (0.0, 0.5, None),
    (5.0, 0.9, 0.1),
    (None, 0.7, 0.0),
    (1e-300, None, 1e22),
    (7.25, 0.9, 0.3),
]


@pytest.fixture
async def finish(store: Store, make_spec: Spec, make_report: Report) -> Callable[..., Any]:
    """Makes a job that has run and ended with these figures; its identifier."""
    count = itertools.count()

    async def finished(
        energy_j: float | None = None,
        accuracy: float | None = None,
        per_sample_j: float | None = None,
        *,
        host: str = "box",
        status: JobStatus = JobStatus.SUCCEEDED,
        **spec: object,
    ) -> str:
        job = await store.submit(make_spec(**spec), max_queued=99)
        assert await store.claim(job.id, host)
        report = make_report(job, status, energy_j)
        report = report.model_copy(
            update={
                "finished_at": report.finished_at + timedelta(seconds=next(count)),
                "emissions": report.emissions.model_copy(update={"co2e_g": energy_j}),
                "quality": report.quality.model_copy(update={"test_accuracy": accuracy}),
                "efficiency": report.efficiency.model_copy(update={"j_per_sample": per_sample_j}),
            }
        )
        assert await store.finish(
            job.id, 1, status=status, error=None, report=report, readings=None
        )
        return job.id

    return finished


def ids(page: RowPage) -> list[str]:
    return [json.loads(row)["job_id"] for row in page.rows]


async def walk(store: Store, sort: ReportSort, limit: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = await store.report_rows(sort=sort, limit=limit, cursor=cursor)
        assert len(page.rows) <= limit
        rows += map(json.loads, page.rows)
        if page.next_cursor is None:
            return rows
        assert len(page.rows) == limit
        cursor = page.next_cursor


@pytest.mark.parametrize("limit", [1, 2, 3, len(FIGURES), 50])
async def test_pages_of_every_order_hold_every_row_once(store, finish, limit) -> None:
    made = [await finish(*figures) for figures in FIGURES]
    for sort in SORTS:
        rows = await walk(store, sort, limit)
        assert sorted(row["job_id"] for row in rows) == sorted(made)
        values = [row[sort.removeprefix("-")] for row in rows]
        there = [value for value in values if value is not None]
        assert there == sorted(there, reverse=sort.startswith("-"))
        assert values == there + [None] * (len(values) - len(there))  # those without come last


async def test_the_newest_come_first_and_newer_ones_do_not_shift_pages(store, finish) -> None:
    made = [await finish() for _ in range(4)]
    first = await store.report_rows(limit=2)
    assert ids(first) == made[:1:-1]
    await finish()
    second = await store.report_rows(limit=2, cursor=first.next_cursor)
    assert ids(second) == made[1::-1]
    assert second.next_cursor is None


async def test_every_filter(store, finish) -> None:
    cnn = await finish(1.0, host="a", tags={"team": "x", "k": "1"})
    rnn = await finish(2.0, host="b", model_type="rnn", tags={"team": "x"})
    failed = await finish(None, host="b", status=JobStatus.FAILED)
    for wanted, expected in [
        ({"status": JobStatus.FAILED}, {failed}),
        ({"model_type": "cnn"}, {cnn, failed}),
        ({"host": "b"}, {rnn, failed}),
        ({"tag": ("team", "x")}, {cnn, rnn}),
        ({"tag": ("team", "x"), "host": "b", "model_type": "rnn"}, {rnn}),
        ({"tag": ("team", "y")}, set()),
        ({"host": "b\0"}, set()),
    ]:
        for sort in SORTS:
            page = await store.report_rows(JobFilter(**wanted), sort=sort)
            assert set(ids(page)) == expected


async def test_a_row_is_stored_as_it_goes_out(store, finish, database_url: str) -> None:
    job_id = await finish(1.0 / 3, tags={"a": "☃"})
    [row] = (await store.report_rows()).rows
    flat = ReportRow.model_validate_json(row)
    assert flat.model_dump_json() == row
    assert (flat.job_id, flat.energy_total_j, flat.tags) == (job_id, 1.0 / 3, '{"a": "☃"}')
    job = await store.get(job_id)
    assert flat.created_at == job.created_at
    with psycopg.connect(database_url) as connection:
        stored = connection.execute("SELECT status, model_type, host FROM reports").fetchall()
    assert stored == [("succeeded", "cnn", "box")]


async def test_a_job_cancelled_while_queued_has_its_row(store, make_spec, make_report) -> None:
    job = await store.submit(make_spec(), max_queued=9)
    assert (await store.report_rows()).rows == ()
    await store.cancel(job.id, lambda job: make_report(job, JobStatus.CANCELLED))
    [row] = (await store.report_rows(JobFilter(status=JobStatus.CANCELLED))).rows
    assert (json.loads(row)["energy_total_j"], json.loads(row)["host"]) == (None, None)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "nonsense",
        "bm9uc2Vuc2U=",
        write_cursor("2026-11-24T20:00:00+00:00", "j"),
        write_cursor("energy_total_j", 1.0, "j"),
        write_cursor("-energy_total_j", True, "j"),
        write_cursor("-energy_total_j", float("nan"), "j"),
        write_cursor("-energy_total_j", "1", "j"),
        write_cursor("-energy_total_j", 10**400, "j"),
        write_cursor("-energy_total_j", 1.0, "a\0"),
        write_cursor("-energy_total_j", 1.0, None),
        write_cursor(*"abcd"),
    ],
)
async def test_a_cursor_that_is_none_of_this_order_is_refused(store, cursor) -> None:
    with pytest.raises(SpecError, match="cursor"):
        await store.report_rows(sort="-energy_total_j", cursor=cursor)


@pytest.mark.parametrize("moment", [None, 5, "x", "2026-11-24T20:00:00"])
async def test_a_cursor_without_a_moment_is_refused(store, moment) -> None:
    with pytest.raises(SpecError, match="cursor"):
        await store.report_rows(cursor=write_cursor("-finished_at", moment, "j"))


async def test_a_page_of_nothing_is_refused(store) -> None:
    with pytest.raises(SpecError, match="limit"):
        await store.report_rows(limit=0)


async def test_a_report_comes_back_whole(store, finish) -> None:
    job_id = await finish(1.0)
    body = await store.report(job_id)
    assert EnergyReport.model_validate_json(body).job_id == job_id
    with pytest.raises(NotFoundError):
        await store.report("a\0")


INDEXES = {
    "finished_at": "reports_by_time",
    "energy_total_j": "reports_by_energy",
    "co2e_g": "reports_by_emissions",
    "test_accuracy": "reports_by_accuracy",
    "j_per_sample": "reports_by_energy_per_sample",
}


@pytest.mark.parametrize("sort", SORTS)
async def test_each_page_is_a_walk_along_an_index(store, finish, database_url, sort) -> None:
    """No sort and no other index, whether rows with a value are walked or those without."""
    for _ in range(3):
        await finish()
    asked: list[tuple[str, Any]] = []

    def note(_connection, _cursor, statement, parameters, *_) -> None:
        asked.append((statement, parameters))

    sa.event.listen(store._engine.sync_engine, "before_cursor_execute", note)
    page = await store.report_rows(sort=sort, limit=1)
    await store.report_rows(sort=sort, limit=1, cursor=page.next_cursor)
    assert len(asked) >= 2
    with psycopg.connect(database_url) as connection:
        connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        for statement, parameters in asked:
            plan = connection.execute(f"EXPLAIN {statement}", parameters).fetchall()
            lines = "\n".join(line for (line,) in plan)
            assert INDEXES[sort.removeprefix("-")] in lines, lines
            assert "Sort" not in lines, lines
