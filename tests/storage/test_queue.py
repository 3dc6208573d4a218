"""The queue: its names, and a task that a worker of procrastinate takes."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from procrastinate.exceptions import ConnectorException
from procrastinate.manager import JobManager

from app.domain.specs import JobSpec
from app.storage.queue import TASK, PatientManager, make_queue, queue_name
from app.storage.store import Store


def test_a_job_waits_in_the_queue_of_its_label() -> None:
    assert queue_name(()) == "any"
    assert queue_name(("host:box",)) == "host:box"


async def test_a_submitted_job_reaches_a_worker(
    store: Store, database_url: str, make_spec: Callable[..., JobSpec]
) -> None:
    ids = []
    first = await store.submit(make_spec(), max_queued=10)
    urgent = await store.submit(make_spec(priority=5, placement={"labels": ["gpu"]}), max_queued=10)
    await store.submit(make_spec(placement={"labels": ["elsewhere"]}), max_queued=10)
    queue = make_queue(database_url)

    @queue.task(name=TASK)
    async def train(job_id: str) -> None:
        ids.append(job_id)

    async with queue.open_async():
        await queue.run_worker_async(
            queues=["any", "gpu"], wait=False, listen_notify=False, install_signal_handlers=False
        )
    assert ids == [urgent.id, first.id]


LISTENS = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN %%' AND datname = %s"


async def test_a_worker_listens_again_after_refused_connections(
    store: Store, *, database_url: str, postgres_url: str, make_spec: Callable[..., JobSpec],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    came = asyncio.Event()
    queue = make_queue(database_url)

    @queue.task(name=TASK)
    async def train(job_id: str) -> None:
        came.set()

    name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]

    async def until_it_listens(server: psycopg.Connection[Any]) -> None:
        while server.execute(LISTENS, [name]).fetchone() is None:
            await asyncio.sleep(0.01)

    with psycopg.connect(postgres_url, autocommit=True) as server:
        async with queue.open_async():
            working = asyncio.create_task(
                queue.run_worker_async(
                    queues=["any"], install_signal_handlers=False, fetch_job_polling_interval=600
                )
            )
            await until_it_listens(server)
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")  # type: ignore[arg-type]
            server.execute(f"SELECT pg_terminate_backend(pid, 10000) FROM ({LISTENS}) l", [name])  # type: ignore[arg-type]
            while "cannot be listened to" not in caplog.text:
                await asyncio.sleep(0.01)
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")  # type: ignore[arg-type]
            await until_it_listens(server)
            await store.submit(make_spec(), max_queued=9)
            await came.wait()
            working.cancel()
            with pytest.raises(asyncio.CancelledError):
                await working


async def test_a_lost_heartbeat_is_no_end(
    database_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(*_: object) -> None:
        raise ConnectorException from psycopg.OperationalError("it went")

    monkeypatch.setattr(JobManager, "update_heartbeat", lost)
    await make_queue(database_url).job_manager.update_heartbeat(1)
    assert "does not take the heartbeat: it went" in caplog.text


def _away(
    monkeypatch: pytest.MonkeyPatch, method: str, error: Exception, times: int
) -> list[object]:
    """Let a method of procrastinate's fail so many times; what came to it."""
    asked: list[object] = []

    async def answer(_: JobManager, **given: object) -> None:
        asked.append(given)
        if len(asked) <= times:
            raise ConnectorException from error

    monkeypatch.setattr(JobManager, method, answer)
    monkeypatch.setattr("app.storage.queue.AGAIN_S", 0.001)
    return asked


async def test_what_the_queue_does_not_answer_is_asked_again(
    store: Store, database_url: str, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    away = psycopg.OperationalError("it went")
    fetched = _away(monkeypatch, "fetch_job", away, times=3)
    finished = _away(monkeypatch, "finish_job", away, times=3)
    queue = make_queue(database_url)
    async with queue.open_async():
        manager = queue.job_manager
        assert await manager.fetch_job(queues=["any"], worker_id=1) is None
        await manager.finish_job(job=object(), status="succeeded", delete_job=True)  # type: ignore[arg-type]
    assert (len(fetched), len(finished)) == (4, 4)
    assert caplog.text.count("the queue does not answer: it went") == 2


async def test_what_was_handed_out_without_an_answer_is_not_forgotten(
    store: Store, *, database_url: str, make_spec: Callable[..., JobSpec],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    first = await store.submit(make_spec(), max_queued=10)
    fetch, lost = JobManager.fetch_job, []

    async def fetch_once_in_vain(manager: JobManager, **given: Any) -> object:
        job = await fetch(manager, **given)
        if not lost:
            lost.append(job)
            raise ConnectorException from psycopg.OperationalError("it went after the commit")
        return job

    monkeypatch.setattr(JobManager, "fetch_job", fetch_once_in_vain)
    monkeypatch.setattr("app.storage.queue.AGAIN_S", 0.001)
    queue = make_queue(database_url)
    async with queue.open_async():
        manager = queue.job_manager
        worker = await manager.register_worker()
        assert await manager.fetch_job(queues=["any"], worker_id=worker) is None
        assert [task.task_kwargs["job_id"] for task in lost] == [first.id]
        assert await store.mend_queue(lease_s=60) == 1
        task = await manager.fetch_job(queues=["any"], worker_id=worker)
        assert task is not None
        assert task.task_kwargs["job_id"] == first.id
        assert await store.mend_queue(lease_s=60) == 0


async def test_a_worker_that_stops_does_not_wait_for_the_queue(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = _away(monkeypatch, "fetch_job", psycopg.OperationalError(), times=9)
    _away(monkeypatch, "finish_job", psycopg.OperationalError(), times=9)
    manager = make_queue(database_url).job_manager
    assert isinstance(manager, PatientManager)
    manager.stopping = True
    assert await manager.fetch_job(queues=["any"], worker_id=1) is None
    assert len(fetched) == 1
    with pytest.raises(ConnectorException):
        await manager.finish_job(job=object(), status="aborted", delete_job=True)  # type: ignore[arg-type]


async def test_a_fault_that_is_not_for_want_of_a_database_is_raised(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _away(monkeypatch, "fetch_job", psycopg.errors.ForeignKeyViolation(), times=1)
    with pytest.raises(ConnectorException):
        await make_queue(database_url).job_manager.fetch_job(queues=["any"], worker_id=1)


async def test_a_task_that_a_sweep_has_ended_is_ended(
    store: Store, database_url: str, make_spec: Callable[..., JobSpec],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    await store.submit(make_spec(), max_queued=10)
    queue = make_queue(database_url)

    @queue.task(name=TASK)
    async def train(job_id: str) -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute("DELETE FROM procrastinate_jobs")

    async with queue.open_async():
        await queue.run_worker_async(wait=False, install_signal_handlers=False)
    assert "was ended by somebody else" in caplog.text


async def test_a_pool_whose_connections_were_lost_serves_again_at_once(
    database_url: str, postgres_url: str
) -> None:
    queue = make_queue(database_url)
    name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    allow = f"ALTER DATABASE {name} ALLOW_CONNECTIONS"
    async with queue.open_async():
        with psycopg.connect(postgres_url, autocommit=True) as server:
            server.execute(f"{allow} false")  # type: ignore[arg-type]
            server.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
                [name],
            )
            fetching = asyncio.create_task(
                queue.job_manager.fetch_job(queues=["any"], worker_id=None)  # type: ignore[arg-type]
            )
            await asyncio.sleep(3)
            assert not fetching.done()
            server.execute(f"{allow} true")  # type: ignore[arg-type]
        assert await fetching is None
