"""A lock is held by one, is free at once when it is given back, and goes with its connection."""

import asyncio

import psycopg
import pytest

from app.domain.errors import UnavailableError
from app.storage.store import Store


def count(url: str, query: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[arg-type]
    assert row is not None
    return int(row[0])


async def test_the_lock_is_held_by_one_and_goes_with_its_end(
    store: Store, database_url: str
) -> None:
    order: list[str] = []

    async def second() -> None:
        async with store.hold("job"):
            order.append("second")

    async with store.hold("job"), store.hold("another job"):
        waiting = asyncio.create_task(second())
        while not count(database_url, "SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
        order.append("first")
    await waiting
    assert order == ["first", "second"]


async def test_a_cancelled_wait_for_the_lock_leaves_no_connection(
    store: Store, database_url: str
) -> None:
    async def wait() -> None:
        async with store.hold("job"):
            pass

    async with store.hold("job"):
        waiting = asyncio.create_task(wait())
        while not count(database_url, "SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        while count(database_url, "SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)


async def test_no_lock_without_a_database(store: Store) -> None:
    store._url = "postgresql://127.0.0.1:1/it"
    with pytest.raises(UnavailableError):
        async with store.hold("job"):
            pass


async def test_a_lock_is_free_at_once_and_its_loss_is_no_error(
    store: Store, database_url: str
) -> None:
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    for _ in range(20):
        async with store.hold("job"):
            assert count(database_url, held) == 1
        assert count(database_url, held) == 0
    async with store.hold("job"):
        count(
            database_url,
            "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory'",
        )
        while count(database_url, held):
            await asyncio.sleep(0.01)
