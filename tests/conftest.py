"""A real PostgreSQL for the whole test session, and a fresh migrated database for each test."""

import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
import pytest_asyncio

from app.storage.embedded import EmbeddedPostgres
from app.storage.migrate import migrate
from app.storage.store import Store

TEMPLATE = "trainwatt_template"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The session's server; it forgets at a crash what a test does not need to survive one."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    try:
        with psycopg.connect(server.url, autocommit=True) as connection:
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")  # type: ignore[arg-type]
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(f"CREATE DATABASE {TEMPLATE}")  # type: ignore[arg-type]
        migrate(named(server, TEMPLATE))
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres_url(postgres: EmbeddedPostgres) -> str:
    """The server's own database, for a test that makes or drops others."""
    return postgres.url


@pytest.fixture
def empty_database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database without any table."""
    yield from _database(postgres, "template0")


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A migrated database of the test's own."""
    yield from _database(postgres, TEMPLATE)


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """A store on a migrated database of the test's own."""
    opened = await Store.open(database_url)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory with a short path that every user may enter."""
    path = Path(tempfile.mkdtemp(prefix="tw-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def named(server: EmbeddedPostgres, database: str) -> str:
    return server.url.replace("@/postgres?", f"@/{database}?")


def _database(server: EmbeddedPostgres, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")  # type: ignore[arg-type]
        yield named(server, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]
