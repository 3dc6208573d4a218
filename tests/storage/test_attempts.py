"""Attempts: the claim, the fence, readings to the byte, putting back."""

import asyncio
import threading
from collections.abc import Callable

import psycopg
import pytest

from app.domain.jobs import Job, JobError, JobStatus, Progress, Stage
from app.domain.readings import Reading, Readings
from app.domain.reports import AttemptEnergy, EnergyReport
from app.domain.specs import JobSpec
from app.storage import attempts
from app.storage.attempts import Standing
from app.storage.store import Store

Spec = Callable[..., JobSpec]
Report = Callable[..., EnergyReport]
Make = Callable[..., Readings]
PROGRESS = Progress(epoch=1, epochs=3, step=2, steps=5, eta_s=0.5)


async def running(store: Store, spec: JobSpec) -> Job:
    job = await store.submit(spec, max_queued=99)
    claimed = await store.claim(job.id, "box")
    assert claimed is not None
    return claimed


def count(url: str, query: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[arg-type]
    assert row is not None
    return int(row[0])


async def test_a_claim_raises_the_attempt_once(store: Store, make_spec: Spec) -> None:
    waiting = await store.submit(make_spec(), max_queued=9)
    claims = await asyncio.gather(*(store.claim(waiting.id, f"box{i}") for i in range(4)))
    taken = [job for job in claims if job]
    assert len(taken) == 1
    job = taken[0]
    assert (job.status, job.stage, job.attempt) == (JobStatus.RUNNING, Stage.STARTING, 1)
    assert job.started_at is not None
    assert job.host is not None
    assert await store.get(job.id) == job
    assert await store.claim("no such job", "box") is None


async def test_a_claim_whose_answer_was_lost_is_found_again(store: Store, make_spec: Spec) -> None:
    waiting = await store.submit(make_spec(), max_queued=9)
    first = await store.claim(waiting.id, "box", attempt=1)
    assert first is not None
    assert await store.claim(waiting.id, "box", attempt=1) == first
    assert (await store.get(waiting.id)).attempt == 1
    assert await store.claim(waiting.id, "other", attempt=1) is None
    assert await store.claim(waiting.id, "box", attempt=2) is None
    assert await store.claim(waiting.id, "box") is None
    await store.put_back(waiting.id, 1, ended="lost", energy_j=None, finish_queue_row=True)
    assert await store.claim(waiting.id, "box", attempt=2) is not None
    assert await store.claim(waiting.id, "box", attempt=1) is None


async def test_progress_is_seen_as_it_comes(
    store: Store, make_spec: Spec, make_reading: Callable[..., Reading], make_readings: Make
) -> None:
    job = await running(store, make_spec())
    assert await store.readings(job.id) is None
    first, second, third = make_reading(0.0), make_reading(1.0), make_reading(2.0)
    goes_on = Standing.GOES_ON
    assert await store.begin_attempt(job.id, 1, make_readings(1, first)) is goes_on
    news = {"stage": Stage.TRAINING, "progress": PROGRESS}
    assert await store.append(job.id, 1, [second], **news) is goes_on  # type: ignore[arg-type]
    assert await store.append(job.id, 1, [third]) is goes_on
    assert await store.append(job.id, 1, []) is goes_on
    now = await store.get(job.id)
    assert (now.stage, now.progress) == (Stage.TRAINING, PROGRESS)
    assert await store.readings(job.id) == make_readings(1, first, second, third)
    assert await store.readings(job.id, 2) is None


async def test_what_an_unanswered_write_has_stored_is_not_stored_twice(
    store: Store, make_spec: Spec, odd: list[Reading], make_readings: Make
) -> None:
    job = await running(store, make_spec())
    whole = make_readings(1, *odd)
    await store.begin_attempt(job.id, 1, make_readings(1, *odd[:3]))
    await store.begin_attempt(job.id, 1, make_readings(1, *odd[:5]))
    await store.append(job.id, 1, odd[5:9])
    await store.append(job.id, 1, odd[5:12], known=5)
    await store.append(job.id, 1, odd[12:], known=12)
    assert await store.readings(job.id) == whole


async def test_a_write_tells_that_the_user_wants_the_end(
    store: Store, make_spec: Spec, make_reading: Callable[..., Reading], make_report: Report
) -> None:
    job = await running(store, make_spec())
    await store.cancel(job.id, lambda job: make_report(job, JobStatus.CANCELLED))
    assert await store.append(job.id, 1, [make_reading(1.0)]) is Standing.CANCELLED


async def test_readings_come_back_to_the_byte(
    store: Store, make_spec: Spec, make_readings: Make, odd: list[Reading], make_report: Report
) -> None:
    """Live, consolidated from the live ones, and handed in whole."""
    for end in ("put_back", "finish", "finish from live"):
        whole = make_readings(1, *odd)
        job = await running(store, make_spec())
        await store.begin_attempt(job.id, 1, make_readings(1, *odd[:5]))
        await store.append(job.id, 1, odd[5:])
        live = await store.readings(job.id)
        assert live is not None
        assert live.to_bytes() == whole.to_bytes()
        assert await store.readings_json(job.id) == whole.to_bytes()
        if end == "put_back":
            await store.put_back(job.id, 1, ended="lost", energy_j=1.0, finish_queue_row=True)
        else:
            await store.finish(
                job.id,
                1,
                status=JobStatus.SUCCEEDED,
                error=None,
                report=make_report(job, JobStatus.SUCCEEDED),
                readings=whole if end == "finish" else None,
            )
        stored = await store.readings(job.id)
        assert stored is not None
        assert (stored.sha256(), stored) == (whole.sha256(), whole)
        assert await store.readings_json(job.id, 1) == whole.to_bytes()


async def test_no_reading_is_parsed_or_packed_on_the_event_loop(
    store: Store, make_spec: Spec, make_readings: Make, odd: list[Reading], make_report: Report,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    seen: dict[str, set[bool]] = {}

    def watched(name: str) -> None:
        works = getattr(attempts, name)

        def watch(*given: object) -> object:
            on_loop = threading.current_thread() is threading.main_thread()
            seen.setdefault(name, set()).add(on_loop)
            return works(*given)

        monkeypatch.setattr(attempts, name, watch)

    names = {"from_live", "json_from_live", "pack", "unpack", "unpack_json"}
    for name in names:
        watched(name)
    for whole in (make_readings(1, *odd), None):
        job = await running(store, make_spec())
        await store.begin_attempt(job.id, 1, make_readings(1, *odd))
        await store.readings(job.id)
        await store.readings_json(job.id)
        report = make_report(job, JobStatus.SUCCEEDED)
        await store.finish(
            job.id, 1, status=JobStatus.SUCCEEDED, error=None, report=report, readings=whole
        )
        await store.readings(job.id)
        await store.readings_json(job.id)
    assert seen == dict.fromkeys(names, {False})


async def test_a_finished_job_has_all_in_one_transaction(
    store: Store, *, make_spec: Spec, make_readings: Make, make_reading: Callable[..., Reading],
    make_report: Report, database_url: str,
) -> None:  # fmt: skip
    job = await running(store, make_spec())
    await store.begin_attempt(job.id, 1, make_readings(1, make_reading(0.0)))
    await store.append(job.id, 1, [], stage=Stage.TRAINING, progress=PROGRESS)
    error = JobError(code="out_of_memory", message="…")
    made = make_report(job, JobStatus.FAILED, 12.5)
    whole = make_readings(1, make_reading(0.0), make_reading(1.0))
    assert await store.finish(
        job.id, 1, status=JobStatus.FAILED, error=error, report=made, readings=whole
    )
    now = await store.get(job.id)
    assert (now.status, now.stage, now.error) == (JobStatus.FAILED, None, error)
    assert now.progress == PROGRESS
    assert now.finished_at is not None
    assert await store.report(job.id) == made.model_dump_json().encode()
    assert await store.attempts(job.id) == (
        AttemptEnergy(attempt=1, ended="failed", energy_j=12.5),
    )
    assert await store.readings(job.id) == whole
    assert count(database_url, "SELECT count(*) FROM live_readings") == 0


async def test_a_report_that_cannot_be_stored_ends_nothing(
    store: Store, make_spec: Spec, make_report: Report, database_url: str
) -> None:
    job = await running(store, make_spec())
    with psycopg.connect(database_url) as connection:
        connection.execute("ALTER TABLE reports ADD CHECK (length(body) < 1)")
    with pytest.raises(Exception, match="CheckViolation"):
        await store.finish(
            job.id, 1, status=JobStatus.SUCCEEDED, error=None,
            report=make_report(job, JobStatus.SUCCEEDED), readings=None,
        )  # fmt: skip
    assert await store.get(job.id) == job
    assert await store.attempts(job.id) == ()


@pytest.mark.parametrize("status", [JobStatus.QUEUED, JobStatus.RUNNING])
async def test_a_job_ends_in_a_final_status(
    store: Store, make_spec: Spec, make_report: Report, status: JobStatus
) -> None:
    job = await running(store, make_spec())
    with pytest.raises(ValueError, match="expected a final status"):
        await store.finish(
            job.id, 1, status=status, error=None, report=make_report(job, status), readings=None
        )


async def _writes(
    store: Store, job: Job, attempt: int, record: Readings, report: EnergyReport
) -> list[bool | Standing]:
    return [
        await store.begin_attempt(job.id, attempt, record),
        await store.append(job.id, attempt, record.readings, stage=Stage.TRAINING),
        await store.put_back(
            job.id, attempt, ended="lost", energy_j=1, finish_queue_row=True
        ),
        await store.finish(
            job.id,
            attempt,
            status=JobStatus.SUCCEEDED,
            error=None,
            report=report,
            readings=record,
        ),
    ]  # fmt: skip


async def test_the_fence_holds_off_every_other_attempt_and_status(
    store: Store, make_spec: Spec, make_readings: Make, make_reading: Callable[..., Reading],
    make_report: Report,
) -> None:  # fmt: skip
    record, spec = make_readings(1, make_reading(0.0)), make_spec()
    waiting = await store.submit(spec, max_queued=99)
    newer = await running(store, spec)
    await store.put_back(newer.id, 1, ended="stopped", energy_j=None, finish_queue_row=False)
    assert (await store.claim(newer.id, "other")) is not None
    final = await running(store, spec)
    made = make_report(final, JobStatus.SUCCEEDED)
    await store.finish(
        final.id, 1, status=JobStatus.SUCCEEDED, error=None, report=made, readings=record
    )
    for job, attempt in ((waiting, 0), (newer, 1), (newer, 3), (final, 1)):
        before = await store.get(job.id), await store.readings(job.id)
        nothing = [Standing.FENCED, Standing.FENCED, False, False]
        assert await _writes(store, job, attempt, record, made) == nothing
        assert (await store.get(job.id), await store.readings(job.id)) == before
    assert [a.ended for a in await store.attempts(newer.id)] == ["stopped"]


async def test_a_job_that_was_put_back_runs_again(
    store: Store, *, make_spec: Spec, make_readings: Make, make_reading: Callable[..., Reading],
    make_report: Report, database_url: str,
) -> None:  # fmt: skip
    job = await running(store, make_spec(priority=3, placement={"labels": ["gpu"]}))
    await store.begin_attempt(job.id, 1, make_readings(1, make_reading(0.0)))
    await store.append(job.id, 1, [], progress=PROGRESS)
    assert await store.put_back(job.id, 1, ended="lost", energy_j=2.5, finish_queue_row=True)
    back = await store.get(job.id)
    assert (back.status, back.stage, back.progress, back.host) == (
        JobStatus.QUEUED, None, None, None,
    )  # fmt: skip
    assert (back.attempt, back.queue_position, back.started_at) == (1, 1, job.started_at)
    tasks = "SELECT status, priority, queue_name, args FROM procrastinate_jobs ORDER BY id"
    with psycopg.connect(database_url) as connection:
        args = {"job_id": job.id}
        assert connection.execute(tasks).fetchall() == [("todo", 3, "gpu", args)]
    again = await store.claim(job.id, "other")
    assert again is not None
    assert (again.attempt, again.started_at, again.host) == (2, job.started_at, "other")
    second = make_readings(2, make_reading(0.0), make_reading(1.0))
    await store.finish(
        job.id, 2, status=JobStatus.SUCCEEDED, error=None,
        report=make_report(job, JobStatus.SUCCEEDED, 7.5), readings=second,
    )  # fmt: skip
    assert await store.attempts(job.id) == (
        AttemptEnergy(attempt=1, ended="lost", energy_j=2.5),
        AttemptEnergy(attempt=2, ended="succeeded", energy_j=7.5),
    )
    assert await store.readings(job.id) == second
    assert await store.readings(job.id, 1) == make_readings(1, make_reading(0.0))


async def test_a_worker_that_stops_leaves_its_own_task_alone(
    store: Store, make_spec: Spec, database_url: str
) -> None:
    job = await running(store, make_spec())
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    await store.put_back(job.id, 1, ended="stopped", energy_j=None, finish_queue_row=False)
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT status FROM procrastinate_jobs ORDER BY id").fetchall()
    assert found == [("doing",), ("todo",)]


async def test_a_job_that_its_user_cancelled_is_not_put_back(
    store: Store, make_spec: Spec, make_report: Report
) -> None:
    job = await running(store, make_spec())
    await store.cancel(job.id, lambda job: make_report(job, JobStatus.CANCELLED))
    assert not await store.put_back(
        job.id, 1, ended="stopped", energy_j=None, finish_queue_row=False
    )
    assert (await store.get(job.id)).status is JobStatus.RUNNING
