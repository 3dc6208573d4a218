"""The databases that the benches measure on hold what real ones hold."""

from collections import Counter

import psycopg
import pytest

from app.domain.jobs import JobFilter, JobStatus
from app.domain.report_rows import ReportRow
from app.domain.reports import EnergyReport
from app.storage.store import Store
from bench.history import MOMENT, fill, job_id, whole_report

JOBS = 1000


async def test_jobs_reports_and_totals_agree(empty_database_url) -> None:
    fill(empty_database_url, JOBS)
    store = await Store.open(empty_database_url)
    try:
        rows = [
            ReportRow.model_validate_json(r) for r in (await store.report_rows(limit=JOBS)).rows
        ]
        assert len(rows) == JOBS
        assert {row.job_id for row in rows} == {job_id(n) for n in range(1, JOBS + 1)}
        job = await store.get(rows[0].job_id)
        assert job.status.final
        body = await store.report(job.id)
        assert EnergyReport.model_validate_json(body).job_id == job.id
        found = Counter()
        for status in JobStatus:
            page = await store.report_rows(JobFilter(status=status), limit=JOBS)
            found[status.value] = len(page.rows)
        assert {s: f.jobs for s, f in (await store.figures()).finished.items()} == +found
        assert sum(found.values()) == JOBS
        for wanted in (
            JobFilter(host="host-3"),
            JobFilter(model_type="attention"),
            JobFilter(status=JobStatus.CANCELLED),
            JobFilter(tag=("team", "team-3")),
            JobFilter(tag=("experiment", "e5")),
        ):  # what the bench filters by fills its pages
            assert len((await store.report_rows(wanted)).rows) >= 20
    finally:
        await store.close()


def test_the_indices_are_those_of_any_database(empty_database_url, database_url) -> None:
    fill(empty_database_url, 3)
    assert _indices(empty_database_url) == _indices(database_url)


def _indices(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT indexdef FROM pg_indexes ORDER BY indexname").fetchall()
    return [definition for (definition,) in found]


async def test_whole_reports_are_of_a_run_each(empty_database_url) -> None:
    fill(empty_database_url, 3, whole=True)
    store = await Store.open(empty_database_url)
    try:
        found = [EnergyReport.model_validate_json(await store.report(job_id(n))) for n in (1, 2, 3)]
    finally:
        await store.close()
    assert [report.job_id for report in found] == [job_id(n) for n in (1, 2, 3)]


def test_a_whole_report_is_what_a_run_of_a_minute_leaves() -> None:
    report = whole_report()
    assert (report.duration_s, report.started_at) == (pytest.approx(60, abs=0.1), MOMENT)
    assert len(report.power.t_s) == len(set(report.power.cpu_w)) == 60
    assert [phase.name for phase in report.phases] == [
        "setup", *3 * ["epoch", "validation"], "evaluation", "end",
    ]  # fmt: skip
    assert report.energy.complete
    assert report.quality.test_accuracy is not None
    assert report.efficiency.j_per_sample is not None
