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


HELD = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
HOLDER = "SELECT min(pid) FROM pg_locks WHERE locktype = 'advisory'"
HOLDERS = "SELECT count(DISTINCT pid) FROM pg_locks WHERE locktype = 'advisory'"
ALIVE = "SELECT count(*) FROM pg_stat_activity WHERE pid = {}"


async def test_several_locks_are_held_on_one_connection_that_is_kept(
    store: Store, database_url: str
) -> None:
    async with store.hold("host", "job"):
        assert (count(database_url, HELD), count(database_url, HOLDERS)) == (2, 1)
        first = count(database_url, HOLDER)
    assert count(database_url, HELD) == 0
    async with store.hold("job"):
        assert count(database_url, HOLDER) == first
    assert count(database_url, ALIVE.format(first)) == 1
    await store.close()
    while count(database_url, ALIVE.format(first)):
        await asyncio.sleep(0.01)


async def test_one_idle_connection_is_kept_at_most(store: Store, database_url: str) -> None:
    async with store.hold("host"):
        outer = count(database_url, HOLDER)
        async with store.hold("job"):
            assert count(database_url, HOLDERS) == 2
    while count(database_url, ALIVE.format(outer)):
        await asyncio.sleep(0.01)


async def test_locks_are_taken_in_the_order_that_is_given(store: Store, database_url: str) -> None:
    async def both() -> None:
        async with store.hold("first", "second"):
            pass

    async with store.hold("second"):
        waiting = asyncio.create_task(both())
        while not count(database_url, "SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
        free = "SELECT pg_try_advisory_xact_lock(hashtextextended('{}', 0))::int"
        assert count(database_url, free.format("first")) == 0
        assert count(database_url, free.format("third")) == 1
    await waiting


async def test_a_spare_connection_that_broke_is_replaced(store: Store, database_url: str) -> None:
    async with store.hold("job"):
        pass
    ended = count(
        database_url,
        "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    assert ended >= 1
    async with store.hold("job"):
        assert count(database_url, HELD) == 1


END = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_locks WHERE locktype = 'advisory'"


async def test_locks_that_are_held_stay_as_they_are(store: Store, database_url: str) -> None:
    async with store.hold("host", "job") as hold:
        holder = count(database_url, HOLDER)
        assert await hold.renew() == ()
        assert count(database_url, HOLDER) == holder


async def test_locks_whose_connection_was_lost_are_taken_again(
    store: Store, database_url: str
) -> None:
    async with store.hold("host", "job") as hold:
        count(database_url, END)
        assert await hold.renew() == ()
        assert (count(database_url, HELD), count(database_url, HOLDERS)) == (2, 1)
    assert count(database_url, HELD) == 0


async def test_a_lock_that_somebody_else_has_by_then_is_named(
    store: Store, database_url: str
) -> None:
    async with store.hold("host", "job") as hold:
        count(database_url, END)
        async with store.hold("job"):
            for _ in range(2):
                assert await hold.renew() == ("job",)
        assert await hold.renew() == ()
        assert (count(database_url, HELD), count(database_url, HOLDERS)) == (2, 1)


async def test_anothers_session_that_has_the_number_of_ours_is_left_alone(
    store: Store, database_url: str
) -> None:
    """As after a restart of the server, which gives the same numbers again."""
    async with store.hold("job") as hold:
        count(database_url, END)
        async with store.hold("job") as another:
            began = hold._session[1]
            hold._session = (another.connection.info.backend_pid, began)
            assert await hold.renew() == ("job",)
            assert await another.renew() == ()


async def test_a_session_of_ours_that_the_server_still_keeps_is_ended(
    store: Store, database_url: str
) -> None:
    """As after a cut in the network, which only we have noticed."""
    async with store.hold("host", "job") as hold:
        kept, hold.connection = hold.connection, await psycopg.AsyncConnection.connect(database_url)
        await hold.connection.close()
        assert await hold.renew() == ()
        assert count(database_url, HELD) == 2
        with pytest.raises(psycopg.OperationalError):
            await kept.execute("SELECT 1")
        await kept.close()


async def test_a_renewal_without_a_database_can_be_tried_again(
    store: Store, database_url: str
) -> None:
    async with store.hold("job") as hold:
        count(database_url, END)
        hold._url = "postgresql://127.0.0.1:1/it"
        for _ in range(2):
            with pytest.raises(UnavailableError):
                await hold.renew()
        hold._url = database_url
        assert await hold.renew() == ()
        assert count(database_url, HELD) == 1
