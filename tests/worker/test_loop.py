"""A worker as a process of its own, on a database that is given: how it starts, stops and ends."""

import os
import signal
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from app.domain.jobs import JobStatus
from app.domain.readings import Method
from app.domain.specs import JobSpec
from app.storage.embedded import EmbeddedPostgres
from app.storage.migrate import migrate
from app.storage.store import Store

LONG = JobSpec.model_validate(
    {"model_type": "cnn", "size": "tiny", "epochs": 10_000, "dataset": {"name": "digits"}}
)
PATIENCE_S = 60


def said(tmp_path):
    return (tmp_path / "said").read_text()


async def until(done):
    deadline_s = time.monotonic() + PATIENCE_S
    while not (got := await done()):
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    return got


async def ready(store):
    hosts = await store.hosts()
    return [host for host in hosts if host.ready]


def test_without_a_database_it_says_what_to_do(start, tmp_path):
    assert start("").wait(PATIENCE_S) == 2
    assert "TRAINWATT_DATABASE_URL" in said(tmp_path)


def test_a_lock_that_cannot_be_opened_is_said_at_the_start(start, tmp_path, database_url):
    worker = start(database_url, TRAINWATT_HOST_LOCK=str(tmp_path / "none" / "lock"))
    assert worker.wait(PATIENCE_S) == 2
    assert "TRAINWATT_HOST_LOCK" in said(tmp_path)


def test_a_country_that_cannot_price_is_said_at_the_start(start, tmp_path, database_url):
    assert start(database_url, TRAINWATT_COUNTRY_ISO_CODE="QQQ").wait(PATIENCE_S) == 2
    assert "TRAINWATT_COUNTRY_ISO_CODE" in said(tmp_path)
    assert "Traceback" not in said(tmp_path)


def test_a_setting_that_contradicts_the_host_is_said_at_the_start(start, tmp_path, database_url):
    assert start(database_url, TRAINWATT_CPU_GENERATION="pentium").wait(PATIENCE_S) == 2
    assert "TRAINWATT_CPU_GENERATION" in said(tmp_path)
    assert "Traceback" not in said(tmp_path)


async def test_a_host_is_announced_with_its_idle_power_and_its_peak(start, store, database_url):
    start(database_url)
    (host,) = await until(lambda: ready(store))
    assert host.baseline is not None
    assert host.baseline.energy_j is None
    if host.baseline.method is Method.ESTIMATED:
        assert host.baseline.power_w > 0
    assert set(host.facts.matmul_flops_per_s) == {"float32", "bfloat16"}


WATCH = """
CREATE TABLE seen (said text);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO seen SELECT current_job FROM hosts WHERE name = NEW.host;
    RETURN NEW;
END $$;
CREATE TRIGGER see BEFORE UPDATE ON jobs FOR EACH ROW
    WHEN (OLD.status = 'queued' AND NEW.status = 'running') EXECUTE FUNCTION see();
"""


async def test_a_host_says_what_it_takes_before_it_takes_it(start, store, database_url):
    with psycopg.connect(database_url) as connection:
        connection.execute(WATCH)
    start(database_url)
    job_id = await training(store)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT said FROM seen").fetchall() == [(job_id,)]


async def training(store, **fields):
    """A job that trains."""
    job = await store.submit(LONG.model_copy(update=fields), max_queued=10)

    async def trains():
        return (await store.get(job.id)).stage == "training"

    await until(trains)
    return job.id


async def test_a_worker_that_drains_finishes_its_job_and_takes_no_other(start, store, database_url):
    worker = start(database_url, TRAINWATT_DRAIN="1", TRAINWATT_HEARTBEAT_S="0.2")
    await until(lambda: ready(store))
    first = await training(store, epochs=80)
    second = await store.submit(LONG, max_queued=10)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE_S) == 0
    job = await store.get(first)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 1)
    waiting = await store.get(second.id)
    assert (waiting.status, waiting.attempt) == (JobStatus.QUEUED, 0)


async def test_a_second_signal_puts_the_job_of_a_draining_worker_back(start, store, database_url):
    worker = start(database_url, TRAINWATT_DRAIN="1")
    await until(lambda: ready(store))
    job_id = await training(store)
    worker.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert worker.poll() is None
    assert (await store.get(job_id)).status is JobStatus.RUNNING
    worker.send_signal(signal.SIGINT)
    assert worker.wait(PATIENCE_S) == 0
    assert (await store.get(job_id)).status is JobStatus.QUEUED
    (attempt,) = await store.attempts(job_id)
    assert (attempt.ended, attempt.energy_j > 0) == ("stopped", True)


async def test_the_job_of_a_draining_worker_can_be_cancelled(start, store, database_url):
    worker = start(database_url, TRAINWATT_DRAIN="1")
    await until(lambda: ready(store))
    job_id = await training(store)
    worker.send_signal(signal.SIGTERM)
    await store.cancel(job_id, lambda job: pytest.fail("it is not queued"))
    assert worker.wait(PATIENCE_S) == 0
    assert (await store.get(job_id)).status is JobStatus.CANCELLED


async def test_under_serve_nothing_is_drained(start, store, database_url):
    worker = start(database_url, TRAINWATT_DRAIN="1", TRAINWATT_SUPERVISED="1")
    await until(lambda: ready(store))
    job_id = await training(store)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE_S) == 0
    assert (await store.get(job_id)).status is JobStatus.QUEUED


async def test_a_worker_that_is_started_again_goes_on_with_the_job(start, store, database_url):
    worker = start(database_url)
    await until(lambda: ready(store))
    job_id = await training(store, epochs=100)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE_S) == 0
    start(database_url)

    async def final():
        return (await store.get(job_id)).finished_at

    await until(final)
    job = await store.get(job_id)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 2)
    assert [a.ended for a in await store.attempts(job_id)] == ["stopped", "succeeded"]


async def test_sigterm_puts_the_job_back_and_ends_in_order(start, store, database_url):
    worker = start(database_url)
    await until(lambda: ready(store))
    job = await store.submit(LONG, max_queued=10)

    async def trains():
        return (await store.get(job.id)).stage == "training"

    await until(trains)
    (host,) = await store.hosts()
    assert host.current_job == job.id
    family = psutil.Process(worker.pid).children(recursive=True)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(PATIENCE_S) == 0
    assert not psutil.wait_procs(family, timeout=PATIENCE_S)[1]
    assert (await store.get(job.id)).status is JobStatus.QUEUED
    ((attempt),) = await store.attempts(job.id)
    assert (attempt.ended, attempt.energy_j > 0) == ("stopped", True)
    (host,) = await store.hosts()
    assert (host.ready, host.current_job) == (False, None)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "in a job"])
async def test_without_its_database_it_ends_with_a_sentence(start, tmp_path, short_dir, busy):
    with EmbeddedPostgres(Path(short_dir)) as postgres:
        migrate(postgres.url)
        store = await Store.open(postgres.url)
        hasty = {"TRAINWATT_LEASE_S": "6", "TRAINWATT_HEARTBEAT_S": "1"}
        worker = start(postgres.url, **hasty)
        await until(lambda: ready(store))
        if busy:
            job = await store.submit(LONG, max_queued=10)

            async def trains():
                return (await store.get(job.id)).stage == "training"

            await until(trains)
        family = psutil.Process(worker.pid).children(recursive=True)
        await store.close()
        os.kill(postgres.pid, signal.SIGKILL)
        assert worker.wait(PATIENCE_S) == 3
    assert not psutil.wait_procs(family, timeout=PATIENCE_S)[1]
    lines = said(tmp_path).splitlines()
    assert any(line.startswith("trainwatt worker: the database") for line in lines)


async def test_a_fork_server_that_hangs_keeps_no_job_beyond_its_limit(start, store, database_url):
    worker = start(database_url)
    await until(lambda: ready(store))
    children = psutil.Process(worker.pid).children()
    (server,) = [p for p in children if "forkserver" in " ".join(p.cmdline())]
    server.suspend()
    limits = LONG.limits.model_copy(update={"timeout_s": 1.0})
    hung = await store.submit(LONG.model_copy(update={"limits": limits}), max_queued=10)
    after = await store.submit(LONG.model_copy(update={"epochs": 1}), max_queued=10)

    async def ended():
        return (await store.get(after.id)).finished_at

    await until(ended)
    assert (await store.get(hung.id)).status is JobStatus.TIMED_OUT
    assert (await store.get(after.id)).status is JobStatus.SUCCEEDED
