"""The schema: what the revisions make is what the tables say, once, whoever comes first."""

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.domain.errors import UnavailableError, UsageError
from app.storage.migrate import HEAD, alembic_config, migrate
from app.storage.tables import metadata

ROOT = Path(__file__).parents[2]
MIGRATE = "import sys; from app.storage.migrate import migrate; migrate(sys.argv[1])"


def test_the_constant_is_the_newest_revision() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [HEAD]


def test_the_revisions_make_the_tables_that_the_code_knows(database_url: str) -> None:
    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(database_url),
        poolclass=sa.NullPool,
    )
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": _ours})
        assert compare_metadata(context, metadata) == []
        tables = set(sa.inspect(connection).get_table_names())
        assert tables >= {*metadata.tables, "procrastinate_jobs"}


def _ours(name: str | None, *_: object) -> bool:
    return not (name or "").startswith("procrastinate_")


def test_four_processes_at_once(empty_database_url: str) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", MIGRATE, empty_database_url],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    assert [(process.communicate()[1], process.returncode) for process in started] == 4 * [("", 0)]
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        left = connection.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'").fetchall()
        assert left == []


def test_alembic_is_not_imported_where_nothing_is_to_do(database_url: str) -> None:
    code = MIGRATE + "; sys.exit(any(name.startswith('alembic') for name in sys.modules))"
    subprocess.run([sys.executable, "-c", code, database_url], cwd=ROOT, check=True)


def test_a_newer_database_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UsageError, match="9999.*install the newer"):
        migrate(database_url)


def test_a_failing_revision_leaves_nothing(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE procrastinate_workers (id int)")
    with pytest.raises(sa.exc.ProgrammingError):
        migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT to_regclass('jobs')").fetchone() == (None,)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:topsecret@127.0.0.1:1/it",
        "postgresql://me:topsecret@no-such-host.invalid/it",
        "host=/nowhere user=me password=topsecret",
    ],
)
def test_a_database_that_does_not_answer(url: str) -> None:
    with pytest.raises(UnavailableError, match="TRAINWATT_DATABASE_URL") as raised:
        migrate(url)
    assert "topsecret" not in str(raised.value)


@pytest.mark.parametrize("url", ["mysql+x://me:topsecret@here/it", "postgresql://me:topsecret@[/x"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(UsageError, match="TRAINWATT_DATABASE_URL") as raised:
        migrate(url)
    assert "topsecret" not in str(raised.value)
    assert raised.value.__suppress_context__  # a log's traceback must not show it either
