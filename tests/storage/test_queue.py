"""The queue: its names, and a task that a worker of procrastinate takes."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from procrastinate.exceptions import ConnectorException
from procrastinate.manager import JobManager

from app.domain.specs import JobSpec
from app.storage.queue import TASK, make_queue, queue_name
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
