"""Trainings that ran outside of the service: kept once, and found as every other job is."""

import asyncio

from app.accounting.posted import account
from app.domain.external import EXTERNAL
from app.domain.jobs import JobError, JobFilter, JobStatus
from app.domain.posted import Ended
from app.domain.quantities import CarbonIntensity
from app.domain.report_rows import ReportRow

PRICE = CarbonIntensity(
    g_per_kwh=None,
    source=None,
    year=None,
    country_iso_code=None,
    region=None,
    pue=1.0,
    reason="no_country",
)


async def test_it_is_a_final_job_with_readings_report_and_row(store, make_posted):
    posted = make_posted(tags={"team": "vision"})
    made = account(posted, PRICE)
    assert await store.add_external(posted, made)
    job = await store.get(made.job_id)
    assert (job.spec, job.external, job.family) == (None, posted.training, EXTERNAL)
    assert (job.status, job.attempt, job.host) == (JobStatus.SUCCEEDED, 1, "box")
    assert (job.started_at, job.finished_at) == (made.started_at, made.finished_at)
    assert await store.readings(job.id) == posted.readings
    assert await store.report(job.id) == made.model_dump_json().encode()
    found = await store.list_jobs(JobFilter(model_type=EXTERNAL, tag=("team", "vision")))
    assert found.items == (job,)
    listed = await store.report_rows(JobFilter(host="box"))
    assert ReportRow.model_validate_json(listed.rows[0]).energy_total_j == made.energy.total_j
    (attempt,) = await store.attempts(job.id)
    assert (attempt.ended, attempt.energy_j) == ("succeeded", made.energy.total_j)
    assert (await store.figures()).finished["succeeded"].jobs == 1


async def test_the_same_twice_is_kept_and_counted_once(store, make_posted):
    posted = make_posted()
    made = account(posted, PRICE)
    kept = await asyncio.gather(*(store.add_external(posted, made) for _ in range(4)))
    assert sorted(kept) == [False, False, False, True]
    assert (await store.figures()).finished["succeeded"].jobs == 1


async def test_a_failure_has_its_error(store, make_posted):
    error = JobError(code="training_error", message="ValueError: no")
    posted = make_posted().model_copy(update={"ended": Ended(status="failed", error=error)})
    await store.add_external(posted, account(posted, PRICE))
    job = await store.get(posted.job_id)
    assert (job.status, job.error) == (JobStatus.FAILED, error)


async def test_no_sweep_and_no_worker_touches_it(store, make_posted):
    posted = make_posted()
    await store.add_external(posted, account(posted, PRICE))
    assert await store.orphans(30.0) == ()
    assert await store.mend_queue(30.0) == 0
    assert await store.claim(posted.job_id, "box") is None
