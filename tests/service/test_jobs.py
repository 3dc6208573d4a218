"""What a cancelled job leaves behind."""

from app.domain.jobs import JobStatus
from app.domain.specs import JobSpec
from app.service import Service
from app.settings import Settings


async def test_a_queued_job_is_cancelled_with_an_empty_report(make_job, one_job_store):
    store = one_job_store(
        make_job(
            JobSpec.model_validate({"model_type": "cnn", "carbon": {"country_iso_code": "FRA"}})
        )
    )
    job = await Service(store, Settings()).cancel("j")
    report = store.cancelled_with
    assert (job.status, report.status) == (JobStatus.CANCELLED, JobStatus.CANCELLED)
    assert (report.duration_s, report.energy.total_j, report.attempts) == (0, None, ())
    assert report.work.parameters == 225_034
    assert report.emissions.country_iso_code == "FRA"
    assert report.finished_at is not None


async def test_a_cancel_counts_attempts_that_began_in_between(make_job, one_job_store):
    store = one_job_store(make_job(attempt=1), rises=2)
    await Service(store, Settings()).cancel("j")
    assert store.job.attempt == 3
    assert len(store.cancelled_with.attempts) == 3
