"""Real workers whose database goes away, comes back, or is there for the others alone."""

import contextlib
import os
import select
import signal
import socket
import threading
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from app.domain.jobs import JobStatus
from app.domain.reports import EnergyReport
from app.domain.specs import JobSpec
from app.storage.embedded import EmbeddedPostgres
from app.storage.migrate import migrate
from app.storage.store import Store

LONG = JobSpec.model_validate(
    {"model_type": "cnn", "size": "tiny", "epochs": 10_000, "dataset": {"name": "digits"}}
)
# Patience is half the lease: what must survive gets a long one, what must give up a short one.
PATIENT = {"TRAINWATT_LEASE_S": "120", "TRAINWATT_HEARTBEAT_S": "0.5"}
HASTY = {"TRAINWATT_LEASE_S": "6", "TRAINWATT_HEARTBEAT_S": "0.5"}
SWEEPS = {"TRAINWATT_SWEEP_INTERVAL_S": "0.3"}
PATIENCE_S = 90


class Proxy:
    """TCP in front of PostgreSQL's unix socket, which can be cut: it then swallows everything."""

    def __init__(self, socket_file):
        self._socket_file, self._open = str(socket_file), True
        self.cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self):
        while self._open:
            if select.select([self._listener], [], [], 0.1)[0]:
                thread = threading.Thread(target=self._pump, args=(self._listener.accept()[0],))
                self._threads.append(thread)
                thread.start()

    def _pump(self, client):
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._socket_file)
            other = {client: server, server: client}
            while self._open:
                ready = select.select(list(other), [], [], 0.1)[0]
                if self.cut:
                    time.sleep(0.05)
                    continue
                for side in ready:
                    with contextlib.suppress(OSError):
                        if data := side.recv(65_536):
                            other[side].sendall(data)
                            continue
                    return

    def close(self):
        self._open = False
        for thread in self._threads:
            thread.join()
        self._listener.close()


@pytest.fixture
def proxy(database_url):
    given = psycopg.conninfo.conninfo_to_dict(database_url)
    made = Proxy(Path(given["host"]) / f".s.PGSQL.{given['port']}")
    made.url = f"postgresql://{given['user']}@127.0.0.1:{made.port}/{given['dbname']}"
    yield made
    made.close()


async def until(done, what, said=None):
    deadline_s = time.monotonic() + PATIENCE_S
    while not (got := await done()):
        assert time.monotonic() < deadline_s, f"{what}: {said.read_text() if said else ''}"
        time.sleep(0.05)
    return got


async def ready(store, name="here"):
    async def is_ready():
        return [host for host in await store.hosts() if host.ready and host.name == name]

    await until(is_ready, f"{name} does not become ready")


async def stage(store, job_id, wanted):
    async def is_there():
        return (await store.get(job_id)).stage == wanted

    await until(is_there, f"not {wanted}")


async def final(store, job_id, said=None):
    async def is_final():
        job = await store.get(job_id)
        return job.finished_at and job

    return await until(is_final, "it does not end", said)


async def training(store, **fields):
    job = await store.submit(LONG.model_copy(update=fields), max_queued=10)
    await stage(store, job.id, "training")
    return job.id


def child_of(worker):
    children = psutil.Process(worker.pid).children()
    (server,) = [p for p in children if "forkserver" in " ".join(p.cmdline())]
    (child,) = server.children()
    return child


def gone(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def refuse(postgres_url, database_url, seconds):
    """Close the database to everybody for a while, and end every session."""
    name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        server.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
            [name],
        )
        time.sleep(seconds)
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


async def test_a_job_survives_a_database_that_is_away_for_a_while(
    start, store, database_url, postgres_url
):
    start(database_url, **PATIENT, **SWEEPS)
    await ready(store)
    job_id = await training(store, epochs=150)
    refuse(postgres_url, database_url, 4)
    job = await final(store, job_id)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 1)
    stored = await store.readings(job_id)
    report = EnergyReport.model_validate_json(await store.report(job_id))
    assert report.readings_sha256 == stored.sha256()
    times_s = [r.t_s for r in stored.readings]
    assert times_s == sorted(set(times_s))
    assert report.trust.largest_sample_gap_s < 4  # nothing of the outage is missing
    following = await store.submit(LONG.model_copy(update={"epochs": 1}), max_queued=10)
    assert (await final(store, following.id)).status is JobStatus.SUCCEEDED


async def test_a_result_that_comes_while_the_database_is_away_is_stored(
    start, store, database_url, postgres_url
):
    worker = start(database_url, **PATIENT, **SWEEPS)
    await ready(store)
    job_id = await training(store, epochs=30)
    child, name = child_of(worker), psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        server.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
            [name],
        )
        psutil.wait_procs([child], timeout=PATIENCE_S)
        time.sleep(2)
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    job = await final(store, job_id)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 1)
    assert gone(child)


FULL = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON jobs EXECUTE FUNCTION full_disk();
CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON hosts EXECUTE FUNCTION full_disk();
"""


@pytest.mark.parametrize("full", [False, True], ids=["away", "full"])
@pytest.mark.parametrize("drain", [False, True], ids=["at once", "drains"])
async def test_a_worker_that_is_told_to_stop_does_not_wait_for_its_database(
    start, store, database_url, postgres_url, *, full, drain
):
    worker = start(database_url, **PATIENT, TRAINWATT_DRAIN=str(int(drain)))
    await ready(store)
    await training(store)
    child, name = child_of(worker), psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    with psycopg.connect(postgres_url, autocommit=True) as server:
        if full:
            with psycopg.connect(database_url) as connection:
                connection.execute(FULL)
        else:
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            server.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
                [name],
            )
        if drain:
            worker.send_signal(signal.SIGTERM)
            time.sleep(2)
            assert worker.poll() is None
            assert not gone(child)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 3  # its patience is 60 s, and without end where the disk is full
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    psutil.wait_procs([child], timeout=PATIENCE_S)
    assert gone(child)


async def test_an_idle_worker_outlives_a_restart_and_takes_the_next_job(start, short_dir, tmp_path):
    said = tmp_path / "said"
    with EmbeddedPostgres(Path(short_dir)) as postgres:
        migrate(postgres.url)
        store = await Store.open(postgres.url)
        async with contextlib.AsyncExitStack() as cleanup:
            cleanup.push_async_callback(store.close)
            worker = start(postgres.url, **PATIENT)
            await ready(store)
            os.kill(postgres.pid, signal.SIGKILL)
            while postgres.alive():
                time.sleep(0.01)
            time.sleep(2)
            postgres.start()
            began_s = time.monotonic()
            job = await store.submit(LONG.model_copy(update={"epochs": 1}), max_queued=10)
            await final(store, job.id, said)
            print(f"submitted to final: {time.monotonic() - began_s:.1f} s")  # noqa: T201
            assert worker.poll() is None
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(PATIENCE_S) == 0
    assert "answers again" in said.read_text()


async def test_a_worker_that_is_cut_off_ends_and_another_one_takes_the_job(
    start, store, proxy, database_url, tmp_path, capsys
):
    worker = start(proxy.url, **HASTY)
    await ready(store)
    job_id = await training(store)
    child = child_of(worker)
    proxy.cut = True
    began_s = time.monotonic()
    assert worker.wait(PATIENCE_S) == 3
    with capsys.disabled():
        print(f"\nended {time.monotonic() - began_s:.1f} s after the cut, half a lease is 3 s")  # noqa: T201
    psutil.wait_procs([child], timeout=PATIENCE_S)
    assert gone(child)
    said = (tmp_path / "said").read_text().splitlines()
    assert any(line.startswith("trainwatt worker: the database") for line in said)
    start(database_url, **HASTY, **SWEEPS, TRAINWATT_HOST_NAME="other")
    # the server still keeps the sessions of the first one, and with them its locks
    proxy.close()

    async def taken():
        job = await store.get(job_id)
        return (job.host, job.attempt) == ("other", 2) and job.stage == "training"

    await until(taken, "nobody takes the job")
    (lost,) = await store.attempts(job_id)
    assert (lost.ended, lost.energy_j > 0) == ("lost", True)


async def test_a_worker_that_was_stopped_for_longer_than_its_lease_keeps_its_job(
    start, store, database_url, tmp_path
):
    worker = start(database_url, **HASTY, **SWEEPS)
    await ready(store)
    job_id = await training(store, epochs=100)
    other = start(
        database_url,
        **HASTY,
        **SWEEPS,
        TRAINWATT_HOST_NAME="other",
        TRAINWATT_HOST_LOCK=str(tmp_path / "other.lock"),
    )
    await ready(store, "other")
    worker.send_signal(signal.SIGSTOP)
    time.sleep(9)
    worker.send_signal(signal.SIGCONT)
    job = await final(store, job_id)
    assert (job.status, job.attempt, job.host) == (JobStatus.SUCCEEDED, 1, "here")
    assert [a.ended for a in await store.attempts(job_id)] == ["succeeded"]
    assert other.poll() is None


async def test_attempts_are_few(start, store, database_url):
    """The worker is killed in each of them; two others sweep at once."""
    workers = [
        start(database_url, **HASTY, **SWEEPS, TRAINWATT_HOST_NAME=name) for name in ("a", "b")
    ]
    for name in ("a", "b"):
        await ready(store, name)
    job_id = await training(store)
    for attempt in (1, 2, 3):

        async def trains(attempt=attempt):
            job = await store.get(job_id)
            return job.attempt == attempt and job.stage == "training" and job

        job = await until(trains, f"no attempt {attempt}")
        index = ("a", "b").index(job.host)
        workers[index].kill()
        workers[index].wait()
        workers[index] = start(database_url, **HASTY, **SWEEPS, TRAINWATT_HOST_NAME=job.host)
    job = await final(store, job_id)
    assert (job.status, job.attempt, job.error.code) == (JobStatus.FAILED, 3, "attempts_used_up")
    ended = [a.ended for a in await store.attempts(job_id)]
    assert ended == ["lost", "lost", "failed"]
