"""Opening, closing, and a database that goes away."""

from collections.abc import Callable

import psycopg
import pytest

from app.domain.errors import UnavailableError, UsageError
from app.domain.specs import JobSpec
from app.storage.store import Store


async def test_nothing_answers() -> None:
    with pytest.raises(UnavailableError, match="127.0.0.1:1 does not answer") as raised:
        await Store.open("postgresql://me:topsecret@127.0.0.1:1/it")
    assert "topsecret" not in str(raised.value)


async def test_what_is_no_url() -> None:
    with pytest.raises(UsageError, match="expected a database URL"):
        await Store.open("sqlite:///it.db")


async def test_a_lost_connection_is_made_again(
    store: Store, database_url: str, make_spec: Callable[..., JobSpec]
) -> None:
    job = await store.submit(make_spec(), max_queued=10)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert (await store.get(job.id)).id == job.id


async def test_ping_says_when_the_database_is_gone(
    store: Store, database_url: str, postgres_url: str
) -> None:
    await store.ping()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        name = database_url.split("@/")[1].split("?", maxsplit=1)[0]
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]
        with pytest.raises(UnavailableError, match="does not answer"):
            await store.ping()
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
