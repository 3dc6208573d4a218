"""Jobs as users see them: one transaction, filters, pages that do not shift, cancelling."""

import asyncio
import base64
import json
import uuid
from collections.abc import Callable
from datetime import UTC
from typing import Any

import psycopg
import pytest

from app.domain.errors import NotFoundError, QueueFullError, SpecError, StateError
from app.domain.jobs import FINAL_STATUSES, Job, JobFilter, JobStatus
from app.domain.reports import EnergyReport
from app.domain.specs import JobSpec
from app.storage.store import Store

Spec = Callable[..., JobSpec]
Report = Callable[..., EnergyReport]


def rows(url: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query, values).fetchall()  # type: ignore[arg-type]


def cancelled(make_report: Report) -> Callable[[Job], EnergyReport]:
    return lambda job: make_report(job, JobStatus.CANCELLED)


async def test_a_submitted_job_is_what_was_asked(store: Store, make_spec: Spec) -> None:
    spec = make_spec(
        size={"width": 1.5, "depth": 2},
        dataset={"name": "synthetic", "shape": [100, 10], "classes": 10},
        placement={"labels": ["gpu"]},
        tags={"team": "vision ☃"},
        learning_rate=1e-7,
    )
    job = await store.submit(spec, max_queued=1)
    assert (job.spec, job.spec_sha256) == (spec, spec.sha256())
    assert (job.status, job.attempt, job.queue_position) == (JobStatus.QUEUED, 0, 1)
    assert uuid.UUID(job.id).version == 4
    assert job.created_at.tzinfo is UTC
    assert await store.get(job.id) == job


async def test_a_failing_task_leaves_no_job(
    store: Store, make_spec: Spec, database_url: str
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("ALTER TABLE procrastinate_jobs ADD CHECK (priority < 50)")
    with pytest.raises(Exception, match="Database error") as raised:
        await store.submit(make_spec(priority=50), max_queued=10)
    assert isinstance(raised.value.__cause__, psycopg.errors.CheckViolation)
    assert rows(database_url, "SELECT count(*) FROM jobs") == [(0,)]
    assert (await store.submit(make_spec(), max_queued=10)).queue_position == 1


async def test_a_full_queue_is_full_for_all_at_once(store: Store, make_spec: Spec) -> None:
    answers = await asyncio.gather(
        *(store.submit(make_spec(), max_queued=3) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(answer, Job) for answer in answers) == 3
    assert sum(isinstance(answer, QueueFullError) for answer in answers) == 5


async def test_what_cannot_be_stored_is_refused_or_not_found(
    store: Store, make_spec: Spec, make_report: Report
) -> None:
    with pytest.raises(SpecError, match="tags.team: expected text without NUL"):
        await store.submit(make_spec(tags={"team": "a\0b"}), max_queued=1)
    for unknown in (str(uuid.uuid4()), "\0", "\ud800", "' OR 1=1"):
        for ask in (store.get, store.report, store.readings):
            with pytest.raises(NotFoundError):
                await ask(unknown)
        with pytest.raises(NotFoundError):
            await store.cancel(unknown, cancelled(make_report))
    assert (await store.list_jobs(JobFilter(model_type="\0"))).items == ()


async def test_the_queue_position_goes_by_priority_then_order(
    store: Store, make_spec: Spec
) -> None:
    submitted = [
        (await store.submit(make_spec(priority=p), max_queued=9)).id for p in (0, 5, 0, -5)
    ]
    positions = [(await store.get(job_id)).queue_position for job_id in submitted]
    assert positions == [2, 1, 3, 4]
    await store.claim(submitted[1], "box")
    positions = [(await store.get(job_id)).queue_position for job_id in submitted]
    assert positions == [1, None, 2, 3]
    listed = (await store.list_jobs()).items
    assert [job.queue_position for job in listed] == [3, 2, None, 1]


async def test_the_list_is_filtered_by_each_and_by_all(store: Store, make_spec: Spec) -> None:
    cnn = await store.submit(make_spec(tags={"team": "a", "x": "1"}), max_queued=9)
    rnn = await store.submit(make_spec(model_type="rnn", tags={"team": "b"}), max_queued=9)
    await store.claim(rnn.id, "box")

    async def found(**filters: Any) -> list[str]:
        return [job.id for job in (await store.list_jobs(JobFilter(**filters))).items]

    assert await found() == [rnn.id, cnn.id]
    assert await found(status=JobStatus.RUNNING) == [rnn.id]
    assert await found(status=JobStatus.FAILED) == []
    assert await found(model_type="cnn") == [cnn.id]
    assert await found(host="box") == [rnn.id]
    assert await found(tag=("team", "a")) == [cnn.id]
    assert await found(tag=("team", "1")) == []
    assert await found(tag=("team", "b"), model_type="cnn") == []
    assert await found(tag=("team", "b"), host="box", status=JobStatus.RUNNING) == [rnn.id]


async def test_pages_neither_repeat_nor_skip_while_jobs_come(
    store: Store, make_spec: Spec, database_url: str
) -> None:
    old = [(await store.submit(make_spec(), max_queued=99)).id for _ in range(5)]
    with psycopg.connect(database_url) as connection:  # the same moment: the id decides
        connection.execute("UPDATE jobs SET created_at = '2026-01-01 00:00:00.123456+02'")
    seen: list[str] = []
    cursor = None
    while True:
        page = await store.list_jobs(limit=2, cursor=cursor)
        seen += [job.id for job in page.items]
        if (cursor := page.next_cursor) is None:
            break
        await store.submit(make_spec(), max_queued=99)
    assert seen == sorted(old, reverse=True)
    exact = await store.list_jobs(limit=7)
    assert (len(exact.items), exact.next_cursor) == (7, None)


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "é", *(base64.urlsafe_b64encode(json.dumps(wrong).encode()).decode() for wrong in (
        1, {}, [1, 2], ["2026-01-01", "naive"], ["2026-01-01T00:00:00Z", 5],
        ["2026-01-01T00:00:00Z", "\0"],
    ))],
)  # fmt: skip
async def test_a_cursor_that_is_none(store: Store, cursor: str) -> None:
    with pytest.raises(SpecError) as raised:
        await store.list_jobs(cursor=cursor)
    assert raised.value.errors[0].field == "cursor"


async def test_a_page_has_a_job_at_least(store: Store) -> None:
    with pytest.raises(SpecError, match="limit: expected 1 or more, received 0"):
        await store.list_jobs(limit=0)


async def test_cancelled_while_it_waits(
    store: Store, make_spec: Spec, make_report: Report, database_url: str
) -> None:
    job = await store.submit(make_spec(), max_queued=9)
    assert await store.report(job.id) is None
    ended = await store.cancel(job.id, cancelled(make_report))
    assert (ended.status, ended.queue_position) == (JobStatus.CANCELLED, None)
    assert ended.finished_at is not None
    assert ended.finished_at >= job.created_at
    body = await store.report(job.id)
    assert body == make_report(job, JobStatus.CANCELLED).model_dump_json().encode()
    assert rows(database_url, "SELECT id FROM procrastinate_jobs") == []
    assert await store.claim(job.id, "box") is None


async def test_a_report_that_cannot_be_made_cancels_nothing(store: Store, make_spec: Spec) -> None:
    def fail(_: Job) -> EnergyReport:
        raise ZeroDivisionError

    job = await store.submit(make_spec(), max_queued=9)
    with pytest.raises(ZeroDivisionError):
        await store.cancel(job.id, fail)
    assert await store.get(job.id) == job


async def test_cancelled_while_it_runs(
    store: Store, make_spec: Spec, make_report: Report, database_url: str
) -> None:
    job = await store.submit(make_spec(), max_queued=9)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    await store.claim(job.id, "box")
    assert not await store.cancel_requested(job.id)
    running = await store.cancel(job.id, cancelled(make_report))
    assert running.status is JobStatus.RUNNING
    assert await store.cancel_requested(job.id)
    assert await store.report(job.id) is None
    asked = rows(database_url, "SELECT status, abort_requested FROM procrastinate_jobs")
    assert asked == [("doing", True)]


@pytest.mark.parametrize("status", sorted(FINAL_STATUSES))
async def test_what_is_final_is_not_cancelled(
    store: Store, make_spec: Spec, make_report: Report, status: JobStatus
) -> None:
    job = await store.submit(make_spec(), max_queued=9)
    await store.claim(job.id, "box")
    assert await store.finish(
        job.id, 1, status=status, error=None, report=make_report(job, status), readings=None
    )
    with pytest.raises(StateError, match=f"is {status} already") as raised:
        await store.cancel(job.id, cancelled(make_report))
    assert raised.value.status == status


async def test_cancel_and_claim_at_once_have_one_winner(
    store: Store, make_spec: Spec, make_report: Report
) -> None:
    for _ in range(20):
        job = await store.submit(make_spec(), max_queued=99)
        ended, claimed = await asyncio.gather(
            store.cancel(job.id, cancelled(make_report)), store.claim(job.id, "box")
        )
        now = await store.get(job.id)
        if claimed is None:
            assert (ended.status, now.status) == (JobStatus.CANCELLED, JobStatus.CANCELLED)
        else:
            assert (ended.status, now.status) == (JobStatus.RUNNING, JobStatus.RUNNING)
            assert await store.cancel_requested(job.id)


async def test_a_claim_waits_for_a_cancel_in_progress(
    store: Store, make_spec: Spec, make_report: Report
) -> None:
    """The claim begins while the row is locked by the cancel, and must see its end."""
    job = await store.submit(make_spec(), max_queued=9)
    claims: list[asyncio.Task[Job | None]] = []

    def slow(queued: Job) -> EnergyReport:
        claims.append(asyncio.ensure_future(store.claim(job.id, "box")))
        return make_report(queued, JobStatus.CANCELLED)

    await store.cancel(job.id, slow)
    assert await claims[0] is None
