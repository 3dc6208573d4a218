"""A real PostgreSQL for the whole session, a fresh migrated database a test, and makers.

What a maker makes is small and by hand; each of its fields can be given.
"""

import contextlib
import itertools
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio
import uvicorn

from app.accounting.report import report
from app.domain.external import ExternalTraining
from app.domain.hosts import Host
from app.domain.jobs import Job, JobStatus
from app.domain.posted import PostedReport
from app.domain.quantities import CarbonIntensity
from app.domain.readings import (
    ComponentFacts,
    HostFacts,
    MeterFacts,
    Method,
    Phase,
    Reading,
    Readings,
)
from app.domain.specs import JobSpec
from app.storage.embedded import EmbeddedPostgres
from app.storage.migrate import migrate
from app.storage.store import Store
from app.workloads import catalogue

MOMENT = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
ABSENT = ComponentFacts(method=Method.ABSENT)
METER = MeterFacts(cpu=ABSENT, gpu=ABSENT, ram=ABSENT, codecarbon="3.3.2")
TEMPLATE = "trainwatt_template"
UNPRICED = CarbonIntensity(
    g_per_kwh=None,
    source=None,
    year=None,
    country_iso_code=None,
    region=None,
    pue=1.0,
    reason="no_country",
)
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


@pytest.fixture(scope="session")
def make_job() -> Callable[..., Job]:
    """Makes a job that waits."""
    return _job


@pytest.fixture(scope="session")
def make_host() -> Callable[..., Host]:
    """Makes a host that is ready."""
    return _host


@pytest.fixture(scope="session")
def serving() -> Callable[[Any], AbstractContextManager[str]]:
    """Serves an app over real HTTP in a thread while a block runs; its URL."""
    return _serving


@pytest.fixture(scope="session")
def make_posted() -> Callable[..., PostedReport]:
    """Makes what a training outside of the service sends: 10 s at 20 W by the RAM's size."""
    return _posted


@pytest.fixture
def finish_job(make_posted: Callable[..., PostedReport]) -> Callable[..., Awaitable[Job]]:
    """Claims a job of a store and ends it as a worker does; 10 s at 20 W, or `stretch` times it."""

    async def finish(
        store: Store,
        job_id: str,
        *,
        stretch: float = 1.0,
        accuracy: float = 0.9,
        status: JobStatus = JobStatus.SUCCEEDED,
        host: str = "box",
        epochs: int = 1,
    ) -> Job:
        job = await store.claim(job_id, host)
        assert job is not None
        told = {"test_accuracy": accuracy}
        taken = [
            reading.model_copy(
                update={
                    "t_s": reading.t_s * stretch,
                    "ram_j": 20 * reading.t_s * stretch,
                    "ended": told if "test_accuracy" in reading.ended else reading.ended,
                }
            )
            for reading in _with_epochs(make_posted().readings.readings, epochs)
        ]
        readings = make_posted().readings.model_copy(
            update={"readings": tuple(taken), "started_at": datetime.now(UTC)}
        )
        made = report(
            readings,
            job_id=job.id,
            spec=job.to_train,
            status=status,
            work=catalogue.facts(job.to_train),
            intensity=UNPRICED,
        )
        assert await store.finish(
            job.id, 1, status=status, error=None, report=made, readings=readings
        )
        return job

    return finish


def _with_epochs(readings: Sequence[Reading], epochs: int) -> list[Reading]:
    """The readings of one epoch from 2 s to 8 s, with its validation, as so many such epochs."""
    before, once, after = readings[:2], readings[2:4], readings[4:]
    made, more_s = [*before], 6.0 * (epochs - 1)
    for number in range(epochs):
        again = [readings[1], *once][number == 0 :]
        made += [_later(one, 6.0 * number, index=number) for one in again]
    return made + [_later(one, more_s) for one in after]


def _later(reading: Reading, seconds: float, index: int | None = None) -> Reading:
    news: dict[str, Any] = {"t_s": reading.t_s + seconds}
    if reading.index is not None and index is not None:
        news["index"] = index
    return reading.model_copy(update=news)


def _posted(**facts: Any) -> PostedReport:
    marks: dict[float, dict[str, Any]] = {
        0.0: {"begins": Phase.SETUP},
        2.0: {"begins": Phase.EPOCH, "index": 0},
        6.0: {"begins": Phase.VALIDATION, "index": 0, "ended": {"samples": 4000, "loss": 0.5}},
        7.0: {"begins": Phase.OTHER, "ended": {"validation_accuracy": 0.9}},
        8.0: {"begins": Phase.EVALUATION},
        10.0: {"begins": Phase.END, "ended": {"test_accuracy": 0.91}},
    }
    ram = ComponentFacts(method=Method.ASSUMED, source="codecarbon, 20 W flat", constant_w=20.0)
    readings = Readings(
        attempt=1,
        started_at=MOMENT,
        host=_host("box").facts,
        meter=METER.model_copy(update={"ram": ram}),
        readings=tuple(
            Reading(t_s=t_s, cpu_j=None, gpu_j=None, ram_j=20 * t_s, **mark)
            for t_s, mark in marks.items()
        ),
    )
    training = ExternalTraining.model_validate({"name": "my net", "dataset": "mine", **facts})
    return PostedReport(training=training, readings=readings)


def _job(spec: JobSpec | None = None, **fields: Any) -> Job:
    spec = spec or JobSpec(model_type="cnn")
    job = Job(
        id="j",
        status=JobStatus.QUEUED,
        stage=None,
        spec=spec,
        spec_sha256=spec.sha256(),
        progress=None,
        queue_position=1,
        host=None,
        attempt=0,
        created_at=MOMENT,
        started_at=None,
        finished_at=None,
        error=None,
    )
    return job.model_copy(update=fields)


def _host(
    name: str = "h1", *, memory_gib: float = 8.0, logical_cpus: int = 2, **fields: Any
) -> Host:
    facts = HostFacts(
        name=name,
        boot_id=None,
        os="Linux",
        python="3.11",
        cpu_vendor=None,
        cpu_model=None,
        cpu_family=None,
        cpu_model_number=None,
        logical_cpus=logical_cpus,
        host_cpus=logical_cpus,
        memory_gib=memory_gib,
    )
    host = Host(
        name=name,
        facts=facts,
        meter=METER,
        labels=(),
        ready=True,
        baseline=None,
        started_at=MOMENT,
        last_seen=MOMENT,
        current_job=None,
    )
    return host.model_copy(update=fields)


@contextlib.contextmanager
def _serving(app: Any) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def named(server: EmbeddedPostgres, database: str) -> str:
    return server.url.replace("@/postgres?", f"@/{database}?")


def _database(server: EmbeddedPostgres, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")  # type: ignore[arg-type]
        yield named(server, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]
