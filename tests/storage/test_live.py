"""A job as it goes on: where it stands, and only the readings that are new."""

import pytest

from app.domain.errors import NotFoundError
from app.domain.jobs import JobError, JobStatus, Progress, Stage
from app.storage.live import FreshReadings

PROGRESS = Progress(epoch=1, epochs=3, step=2, steps=10, eta_s=1.5)


@pytest.fixture
async def running(store, make_spec, make_readings, make_reading):
    """A job that runs, with one reading."""
    job = await store.submit(make_spec(), max_queued=9)
    await store.claim(job.id, "box")
    await store.begin_attempt(job.id, 1, make_readings(1, make_reading(0.0)))
    return job


async def _fresh(store, job, known=0, after_id=None, limit=100):
    return await store.fresh_readings(job.id, 1, known=known, after_id=after_id, limit=limit)


async def test_where_a_job_stands(store, running, make_reading, make_report):
    await store.append(running.id, 1, [make_reading(1)], stage=Stage.TRAINING, progress=PROGRESS)
    standing, progress = await store.standing(running.id)
    assert (standing.status, standing.stage, standing.attempt) == ("running", "training", 1)
    assert (standing.error, progress) == (None, PROGRESS)
    error = JobError(code="x", message="why")
    report = make_report(running, JobStatus.FAILED)
    end = {"status": JobStatus.FAILED, "error": error, "report": report, "readings": None}
    assert await store.finish(running.id, 1, **end)
    standing, progress = await store.standing(running.id)
    assert (standing.status, standing.stage, standing.error) == ("failed", None, error)


@pytest.mark.parametrize("unknown", ["none", "\0", "\ud800"])
async def test_an_unknown_job_is_not_found(store, unknown):
    with pytest.raises(NotFoundError):
        await store.standing(unknown)


async def test_only_what_is_new_is_read(store, running, make_reading):
    first = await _fresh(store, running)
    assert [r.t_s for r in first.readings] == [0.0]
    assert await _fresh(store, running, 1, first.last_id) == FreshReadings(
        readings=(), last_id=first.last_id, whole=False
    )
    await store.append(running.id, 1, [make_reading(t) for t in (1, 2, 3)])
    second = await _fresh(store, running, 1, first.last_id, limit=2)
    assert [r.t_s for r in second.readings] == [1, 2]
    third = await _fresh(store, running, 3, second.last_id)
    assert [r.t_s for r in third.readings] == [3]
    by_number = await _fresh(store, running, 2)
    assert [r.t_s for r in by_number.readings] == [2, 3]


async def test_an_attempt_that_ended_gives_all_that_is_left(
    store, running, make_reading, make_readings, make_report
):
    whole = make_readings(1, *(make_reading(t) for t in range(6)))
    report = make_report(running, JobStatus.SUCCEEDED)
    end = {"status": JobStatus.SUCCEEDED, "error": None, "report": report, "readings": whole}
    assert await store.finish(running.id, 1, **end)
    left = await _fresh(store, running, 4, 99, limit=1)
    assert (left.readings, left.whole) == (whole.readings[4:], True)


async def test_the_head_is_all_but_the_readings(store, running, make_spec, make_readings):
    assert await store.attempt_head(running.id, 1) == make_readings(1)
    assert await store.attempt_head(running.id, 2) is None


async def test_an_attempt_that_was_lost_before_its_first_reading_has_none(store, make_spec):
    job = await store.submit(make_spec(), max_queued=9)
    await store.claim(job.id, "box")
    back = {"ended": "lost", "energy_j": None, "finish_queue_row": False}
    assert await store.put_back(job.id, 1, **back)
    assert await store.attempt_head(job.id, 1) is None
    assert await _fresh(store, job) == FreshReadings(readings=(), last_id=None, whole=True)
