"""Reports of real jobs, evaluated again as they were made: the bytes that are stored."""

import asyncio
import json
import os
import signal

import psutil
import pytest

from app import settings
from app.accounting.report import energy_j
from app.domain.evaluation import Evaluation
from app.domain.jobs import JobStatus, Stage
from app.domain.specs import JobSpec
from app.metering.host import host_facts
from app.service import Service
from app.storage.attempts import Standing
from app.worker.attempt import run_job
from app.worker.bench import Bench
from app.worker.sweep import sweep

QUICK = {"model_type": "cnn", "size": "tiny", "epochs": 1, "dataset": {"name": "digits"}}
LONG = QUICK | {"epochs": 10_000}
PRICED = {"carbon": {"country_iso_code": "USA", "region": "CA", "pue": 1.3}}
AS_MADE = Evaluation(assumptions="codecarbon")


@pytest.fixture
def bench(store, meter, fork_server, tmp_path):
    given = settings.load(
        data_dir=tmp_path,
        host_lock=tmp_path / "lock",
        host_name="here",
        sample_interval_s=0.2,
        quiet_wait_s=0,
        lease_s=0.1,
        heartbeat_s=0.05,
        country_iso_code="FRA",
    )
    return Bench(settings=given, store=store, meter=meter, host=host_facts("here"))


@pytest.fixture
def service(store):
    """A service whose country is another one by now."""
    return Service(store, settings.load(country_iso_code="DEU"))


@pytest.fixture
def submit(store):
    async def submit(**fields):
        return (await store.submit(JobSpec.model_validate(QUICK | fields), max_queued=10)).id

    return submit


async def trains(store, job_id):
    async with asyncio.timeout(60):
        while (await store.get(job_id)).stage is not Stage.TRAINING:
            await asyncio.sleep(0.02)


async def stop_in_the_middle(bench, job_id):
    """Run the job until it trains for half a second, then stop the worker."""
    running = asyncio.create_task(run_job(bench, job_id))
    await trains(bench.store, job_id)
    await asyncio.sleep(0.5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def same_bytes(service, job_id):
    stored = await service.report(job_id)
    assert await service.evaluated(job_id, AS_MADE) == stored
    return json.loads(stored)


@pytest.mark.parametrize("fields", [{}, PRICED, {"carbon": {"intensity_g_per_kwh": 12.5}}])
async def test_of_a_job_that_succeeded(bench, store, service, submit, fields):
    job_id = await submit(**fields)
    await run_job(bench, job_id)
    stored = await same_bytes(service, job_id)
    assert stored["status"] == "succeeded"
    wanted = Evaluation(country_iso_code="SWE", pue=1.2)
    other = json.loads(await service.evaluated(job_id, wanted))
    assert other["emissions"]["intensity_g_per_kwh"] < 45
    assert other["energy"] == stored["energy"]
    assert await service.evaluated(job_id, wanted) == await service.evaluated(job_id, wanted)


async def test_of_a_job_that_was_cancelled_while_it_waited(service, submit):
    job_id = await submit()
    await service.cancel(job_id)
    assert (await same_bytes(service, job_id))["status"] == "cancelled"


async def test_of_a_job_whose_process_was_killed(bench, store, service, submit):
    job_id = await submit(epochs=10_000)
    running = asyncio.create_task(run_job(bench, job_id))
    await trains(store, job_id)
    me = psutil.Process()
    server = next(p for p in me.children() if "forkserver" in " ".join(p.cmdline()))
    (child,) = server.children()
    os.kill(child.pid, signal.SIGKILL)
    await running
    assert (await same_bytes(service, job_id))["status"] == "failed"


async def test_of_a_job_that_was_put_back_and_finished_by_another_attempt(
    bench, store, service, submit
):
    job_id = await submit(epochs=30)
    await stop_in_the_middle(bench, job_id)
    await run_job(bench, job_id)
    stored = await same_bytes(service, job_id)
    assert [attempt["ended"] for attempt in stored["attempts"]] == ["stopped", "succeeded"]
    first = await store.readings(job_id, 1)
    assert stored["attempts"][0]["energy_j"] == energy_j(first)


async def test_of_a_job_that_was_put_back_and_cancelled_while_it_waited(
    bench, store, service, submit
):
    job_id = await submit(epochs=10_000)
    await stop_in_the_middle(bench, job_id)
    await service.cancel(job_id)
    stored = await same_bytes(service, job_id)
    assert (stored["status"], stored["duration_s"]) == ("cancelled", 0.0)
    assert stored["energy"]["spent_j"] > 0


@pytest.mark.parametrize("began", [False, True])
async def test_of_a_job_whose_worker_was_lost(bench, store, service, submit, began):
    """With a reading stored, and without one."""
    job_id = await submit()
    at_once = bench.settings.model_copy(update={"max_attempts": 1})
    job = await store.claim(job_id, "gone")
    if began:
        donor = await submit()
        await run_job(bench, donor)
        readings = await store.readings(donor)
        assert await store.begin_attempt(job_id, job.attempt, readings) is Standing.GOES_ON
    await sweep(Bench(settings=at_once, store=store, meter=bench.meter, host=bench.host))
    stored = await same_bytes(service, job_id)
    assert (stored["status"], stored["readings_sha256"] is not None) == ("failed", began)
    assert (await store.get(job_id)).status is JobStatus.FAILED


async def test_of_a_job_without_a_report_of_its_readings(
    bench, store, service, submit, monkeypatch
):
    job_id = await submit()
    with monkeypatch.context() as broken:
        broken.setattr(Bench, "account", lambda *_: 1 / 0)
        await run_job(bench, job_id)
    stored = await same_bytes(service, job_id)
    assert (stored["status"], stored["emissions"]["reason"]) == ("failed", "report_failed")
