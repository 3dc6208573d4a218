"""Jobs and tasks whose worker is gone: found once, mended once, and the living left alone."""

import asyncio
from collections.abc import Callable

import psycopg
import pytest

from app.domain.hosts import Host
from app.domain.jobs import Job, JobStatus
from app.domain.reports import EnergyReport
from app.domain.specs import JobSpec
from app.storage.store import Orphan, Store

Spec = Callable[..., JobSpec]
LEASE_S = 30.0


async def running(store: Store, spec: JobSpec) -> Job:
    job = await store.submit(spec, max_queued=99)
    claimed = await store.claim(job.id, "box")
    assert claimed is not None
    return claimed


def doing(url: str, heartbeat_age_s: float | None) -> None:
    """All tasks are in the hands of a worker: alive, silent, or (null) forgotten."""
    with psycopg.connect(url) as connection:
        worker = None
        if heartbeat_age_s is not None:
            row = connection.execute(
                "INSERT INTO procrastinate_workers (last_heartbeat) "
                "VALUES (now() - make_interval(secs => %s)) RETURNING id",
                [heartbeat_age_s],
            ).fetchone()
            worker = row and row[0]
        connection.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s", [worker]
        )


def tasks(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT status FROM procrastinate_jobs ORDER BY id").fetchall()
    return [str(row[0]) for row in found]


async def test_an_orphan_is_a_running_job_whose_lock_is_free(store: Store, make_spec: Spec) -> None:
    await store.submit(make_spec(), max_queued=9)
    held, free = await running(store, make_spec()), await running(store, make_spec())
    orphan = Orphan(job_id=free.id, attempt=1, cancel_requested=False)
    async with store.hold(held.id):
        assert await store.orphans(LEASE_S) == (orphan,)
        assert await store.orphans(LEASE_S) == (orphan,)  # looking keeps no lock
    assert {found.job_id for found in await store.orphans(LEASE_S)} == {held.id, free.id}


async def test_an_orphan_says_whether_its_user_cancelled_it(
    store: Store, make_spec: Spec, make_report: Callable[..., EnergyReport]
) -> None:
    job = await running(store, make_spec())
    await store.cancel(job.id, lambda job: make_report(job, JobStatus.CANCELLED))
    assert [found.cancel_requested for found in await store.orphans(LEASE_S)] == [True]


async def test_a_host_that_says_it_runs_the_job_is_believed_for_a_lease(
    store: Store, make_spec: Spec, make_host: Callable[..., Host], database_url: str
) -> None:
    job = await running(store, make_spec())
    await store.beat(make_host("other", current_job=job.id))
    assert len(await store.orphans(LEASE_S)) == 1
    await store.beat(make_host("box", current_job=job.id))
    assert await store.orphans(LEASE_S) == ()
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE hosts SET last_seen = now() - interval '31 s'")
    assert len(await store.orphans(LEASE_S)) == 1
    await store.beat(make_host("box"))  # started again
    assert len(await store.orphans(LEASE_S)) == 1


async def test_two_sweeps_at_once_put_back_once(
    store: Store, make_spec: Spec, database_url: str
) -> None:
    job = await running(store, make_spec())
    doing(database_url, None)
    other = await Store.open(database_url)

    async def sweep(through: Store) -> list[bool]:
        found = await through.orphans(LEASE_S) or (
            Orphan(job_id=job.id, attempt=1, cancel_requested=False),
        )
        return [
            await through.put_back(
                orphan.job_id, orphan.attempt, ended="lost", energy_j=1, finish_queue_row=True
            )
            for orphan in found
        ]

    done = await asyncio.gather(sweep(store), sweep(other))
    await other.close()
    assert sorted(answer for answers in done for answer in answers) == [False, True]
    assert tasks(database_url) == ["todo"]
    assert len(await store.attempts(job.id)) == 1


@pytest.mark.parametrize(
    ("heartbeat_age_s", "after", "mended"),
    [(0, ["doing"], 0), (31, ["todo"], 1), (None, ["todo"], 1)],
)
async def test_a_waiting_job_whose_task_is_stuck_gets_a_new_one(
    store: Store, *, make_spec: Spec, database_url: str,
    heartbeat_age_s: float | None, after: list[str], mended: int,
) -> None:  # fmt: skip
    job = await store.submit(make_spec(), max_queued=9)
    doing(database_url, heartbeat_age_s)
    assert await store.mend_queue(LEASE_S) == mended
    assert tasks(database_url) == after
    assert await store.mend_queue(LEASE_S) == 0
    assert (await store.get(job.id)).status is JobStatus.QUEUED


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ("DELETE FROM procrastinate_jobs", ["todo"]),
        ("UPDATE procrastinate_jobs SET status = 'failed'", ["failed", "todo"]),
        ("UPDATE procrastinate_jobs SET status = 'cancelled'", ["cancelled", "todo"]),
        ("UPDATE jobs SET queue_id = NULL", ["todo"]),
    ],
)
async def test_a_waiting_job_whose_task_is_gone_gets_a_new_one(
    store: Store, make_spec: Spec, database_url: str, change: str, after: list[str]
) -> None:
    await store.submit(make_spec(), max_queued=9)
    with psycopg.connect(database_url) as connection:
        connection.execute(change)  # type: ignore[arg-type]
    await store.mend_queue(LEASE_S)
    assert tasks(database_url) == after
    assert await store.mend_queue(LEASE_S) == 0


async def test_what_is_in_order_is_left_alone(
    store: Store, make_spec: Spec, database_url: str
) -> None:
    await running(store, make_spec())
    doing(database_url, None)  # the orphan's own sweep does that one
    await store.submit(make_spec(), max_queued=9)
    with psycopg.connect(database_url) as connection:  # somebody else's task
        connection.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('x', 'other')"
        )
    assert await store.mend_queue(LEASE_S) == 0
    assert tasks(database_url) == ["doing", "todo", "todo"]


@pytest.mark.parametrize(("heartbeat_age_s", "after"), [(0, ["doing"]), (31, [])])
async def test_the_task_of_a_final_job_is_ended_where_its_worker_is_gone(
    store: Store, *, make_spec: Spec, make_report: Callable[..., EnergyReport],
    database_url: str, heartbeat_age_s: float, after: list[str],
) -> None:  # fmt: skip
    job = await running(store, make_spec())
    doing(database_url, heartbeat_age_s)
    made = make_report(job, JobStatus.FAILED)
    await store.finish(job.id, 1, status=JobStatus.FAILED, error=None, report=made, readings=None)
    await store.mend_queue(LEASE_S)
    assert tasks(database_url) == after


async def test_two_menders_at_once_make_one_task(
    store: Store, make_spec: Spec, database_url: str
) -> None:
    await store.submit(make_spec(), max_queued=9)
    doing(database_url, None)
    assert sum(await asyncio.gather(*(store.mend_queue(LEASE_S) for _ in range(4)))) == 1
    assert tasks(database_url) == ["todo"]
