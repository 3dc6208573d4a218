"""The databases that the benches measure on hold what real ones hold."""

from collections import Counter

from app.domain.jobs import JobFilter, JobStatus
from app.domain.report_rows import ReportRow
from app.domain.reports import EnergyReport
from app.storage.store import Store
from bench.history import fill

JOBS = 1000


async def test_jobs_reports_and_totals_agree(empty_database_url) -> None:
    fill(empty_database_url, JOBS)
    store = await Store.open(empty_database_url)
    try:
        rows = [
            ReportRow.model_validate_json(r) for r in (await store.report_rows(limit=JOBS)).rows
        ]
        assert len(rows) == JOBS
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
