"""The schema: what the revisions make is what the tables say, once, whoever comes first."""

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.accounting.rows import row
from app.domain.errors import UnavailableError, UsageError
from app.domain.jobs import JobStatus
from app.domain.report_rows import ReportRow
from app.domain.specs import JobSpec
from app.storage.migrate import HEAD, alembic_config, migrate
from app.storage.store import Store
from app.storage.tables import metadata
from app.storage.totals import FinishedFigures
from bench.history import whole_report

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


async def test_what_version_0_1_left_behind_gets_rows_and_totals(
    empty_database_url: str, make_spec: Callable[..., JobSpec], make_report: Callable[..., Any]
) -> None:
    """A finished job, one cancelled while queued, one that runs; more than one batch of them."""
    _to_first_revision(empty_database_url)
    spec = make_spec(tags={"team": "x"})
    many = 501
    with psycopg.connect(empty_database_url) as connection:
        for job_id, status, energy_j, host in [
            ("running", "running", None, "box"),
            ("cancelled", "cancelled", None, None),
            *((f"done-{n:03}", "succeeded", float(n), "box") for n in range(many)),
        ]:
            _job_of_0_1(connection, job_id, status, spec, host)
            if status != "running":
                report = make_report(_Named(job_id, spec.sha256()), JobStatus(status), energy_j)
                body = report.model_dump_json(exclude={"quality": {"target_reached"}}).encode()
                connection.execute("INSERT INTO reports VALUES (%s, %s)", (job_id, body))
    migrate(empty_database_url)
    store = await Store.open(empty_database_url)
    try:
        page = await store.report_rows(sort="-energy_total_j", limit=600)
        rows = [json.loads(row) for row in page.rows]
        figures = await store.figures()
    finally:
        await store.close()
    assert [row["job_id"] for row in rows] == [
        *(f"done-{n:03}" for n in reversed(range(many))),
        "cancelled",
    ]
    assert (rows[0]["model_type"], rows[0]["tags"]) == ("cnn", '{"team": "x"}')
    assert rows[0]["created_at"] == "2026-11-24T19:00:00Z"
    assert figures.unfinished == {"queued": 0, "running": 1}
    assert figures.finished["succeeded"] == FinishedFigures(
        jobs=many, energy_j=many * (many - 1) / 2
    )
    assert figures.finished["cancelled"] == FinishedFigures(jobs=1, energy_j=0.0)


@pytest.mark.parametrize("kind", ["run", "cancelled"])
def test_revision_2_makes_the_row_that_is_made_today_as_far_as_it_knew(
    make_spec: Callable[..., JobSpec], make_report: Callable[..., Any], kind: str
) -> None:
    created_at = datetime(2026, 11, 24, 20, 0, 0, 123456, tzinfo=UTC)
    size: Any = {"width": 1.5, "depth": 2} if kind == "run" else "tiny"
    spec = make_spec(tags={"b": "Größe", "a": '"\\'}, size=size, dataset={"samples": 500})
    named = _Named("j", spec.sha256())
    report = whole_report() if kind == "run" else make_report(named, JobStatus.CANCELLED)
    report = report.model_copy(update={"job_id": "j", "spec_sha256": spec.sha256()})
    old = _old(report.model_dump_json().encode(), spec.model_dump_json(), created_at)
    old.status, old.spec_sha256 = report.status.value, spec.sha256()
    made = _revision_2().row(old)
    today = json.loads(row(report, spec=spec, created_at=created_at).model_dump_json())
    assert list(made) == list(ReportRow.model_fields)[: len(made)]  # newer columns come behind
    assert made == {name: today[name] for name in made}
    assert ReportRow.model_validate(made).overrides is None


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"energy": [], "attempts": 3, "trust": {"reasons": [1, {"code": "x"}, {}]}}',
        b'{"duration_s": "1", "energy": {"total_j": true, "complete": 1, "spent_j": 1e999}}',
        b'{"energy": {"total_j": NaN, "spent_j": "much"}, "finished_at": "yesterday"}',
        b'{"finished_at": "a\\u0000\\ud800b", "work": {"samples": 1.5}}',
    ],
)
async def test_revision_2_takes_a_report_that_is_not_as_it_should_be(
    empty_database_url: str, make_spec: Callable[..., JobSpec], body: bytes
) -> None:
    _to_first_revision(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        _job_of_0_1(connection, "odd", "succeeded", make_spec(), "box")
        connection.execute("INSERT INTO reports VALUES ('odd', %s)", (body,))
    migrate(empty_database_url)
    store = await Store.open(empty_database_url)
    try:
        [text] = (await store.report_rows()).rows
        figures = (await store.figures()).finished
        assert await store.report("odd") == body
    finally:
        await store.close()
    made = json.loads(text)
    assert (made["job_id"], made["status"], made["model_type"]) == ("odd", "succeeded", "cnn")
    assert (made["energy_total_j"], made["energy_spent_j"]) == (None, None)
    assert (made["complete"], made["duration_s"], made["samples"]) == (False, 0, 0)
    assert figures == {"succeeded": FinishedFigures(jobs=1, energy_j=0)}


@pytest.mark.parametrize("body", [b"[1]", b"null", b"", b"{", b"\xff\xfe\xfd", b"[" * 100_000])
def test_what_is_no_report_stops_revision_2_with_the_job_s_name(
    empty_database_url: str, make_spec: Callable[..., JobSpec], body: bytes
) -> None:
    _to_first_revision(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        _job_of_0_1(connection, "broken-1", "succeeded", make_spec(), "box")
        connection.execute("INSERT INTO reports VALUES ('broken-1', %s)", (body,))
    with pytest.raises(UsageError, match="job broken-1 is no JSON object"):
        migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            ("0001",)
        ]


def test_revision_2_rests_on_no_model_of_today() -> None:
    path = ROOT / "app/storage/migrations/versions/0002_rows_events_keys.py"
    names = [
        node.module
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("app")
    ]
    assert names == ["app.domain.errors"]


async def test_revision_3_keeps_what_is_there(
    empty_database_url: str, make_spec: Callable[..., JobSpec]
) -> None:
    """A job of version 0.2 that waits."""
    _to_revision(empty_database_url, "0002")
    spec = make_spec()
    with psycopg.connect(empty_database_url) as connection:
        _job_of_0_1(connection, "waits", "queued", spec, None)
    migrate(empty_database_url)
    store = await Store.open(empty_database_url)
    try:
        assert (await store.get("waits")).spec_sha256 == spec.sha256()
        assert await store.datasets() == ()
        assert await store.find_dataset("mine") is None
    finally:
        await store.close()


def _revision_2() -> Any:
    return importlib.import_module("app.storage.migrations.versions.0002_rows_events_keys")


def _old(body: bytes, spec: str, created_at: datetime) -> SimpleNamespace:
    """A row of what version 0.1 had stored."""
    return SimpleNamespace(
        job_id="j", body=body, spec=spec, model_type="cnn", host="box", created_at=created_at
    )


@dataclass
class _Named:
    id: str
    spec_sha256: str


def _to_first_revision(url: str) -> None:
    _to_revision(url, "0001")


def _to_revision(url: str, revision: str) -> None:
    engine = sa.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=sa.NullPool
    )
    with engine.connect() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()


def _job_of_0_1(
    connection: psycopg.Connection[Any], job_id: str, status: str, spec: JobSpec, host: str | None
) -> None:
    connection.execute(
        """INSERT INTO jobs (id, status, spec, spec_sha256, model_type, priority, tags, host,
            attempt, created_at)
        VALUES (%s, %s, %s, %s, 'cnn', 0, '{}', %s, 1, '2026-11-24T20:00:00+01')""",
        (job_id, status, spec.model_dump_json(), spec.sha256(), host),
    )
