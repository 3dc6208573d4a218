"""Attempts on a real database with real training processes: every way to end, and the fence."""

import asyncio
import io
import os
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import psutil
import psycopg
import pytest

from app import settings
from app.domain.errors import MeterError, UnavailableError
from app.domain.jobs import JobStatus, Stage
from app.domain.reports import EnergyReport
from app.domain.specs import JobSpec
from app.metering.host import host_facts
from app.service import Service
from app.worker import attempt, sampling
from app.worker.attempt import Bench, FencedError, run_job
from app.worker.process import Training
from app.worker.sweep import sweep
from app.worker.watchdog import Watchdog

QUICK = {"model_type": "cnn", "size": "tiny", "epochs": 2, "dataset": {"name": "digits"}}
LONG = QUICK | {"epochs": 10_000}
FLAT_W = 120  # of the meter of these tests, 100 of them the CPU's
STOPS_WITHIN_S = 1.5  # a job that has crossed its limit
GONE_WITHIN_S = 2.0  # the training process of a job that was cancelled


@pytest.fixture
def bench(store, meter, fork_server, tmp_path):
    given = settings.load(
        data_dir=tmp_path,
        host_lock=tmp_path / "lock",
        host_name="here",
        sample_interval_s=0.2,
        quiet_wait_s=0,
    )
    return Bench(settings=given, store=store, meter=meter, host=host_facts("here"))


@pytest.fixture
def submit(store):
    async def submit(**fields):
        return (await store.submit(JobSpec.model_validate(QUICK | fields), max_queued=10)).id

    return submit


async def until(store, job_id, done):
    async with asyncio.timeout(60):
        while not done(job := await store.get(job_id)):
            await asyncio.sleep(0.02)
    return job


async def over(running):
    """Wait for an attempt, whose cancellation would only hide that it does not end by itself."""
    await asyncio.wait([running], timeout=20)
    assert running.done()
    await running


def trains(job):
    return job.stage is Stage.TRAINING


async def report_of(store, job_id):
    return EnergyReport.model_validate_json(await store.report(job_id))


async def test_a_claim_whose_answer_is_lost_is_no_lost_attempt(bench, store, submit, monkeypatch):
    job_id = await submit()
    claim, lost = store.claim, []

    async def claim_in_vain(*given, **more):
        job = await claim(*given, **more)
        if not lost:
            lost.append(job)
            raise UnavailableError("the database went away after the commit")
        return job

    monkeypatch.setattr(store, "claim", claim_in_vain)
    await run_job(bench, job_id)
    job = await store.get(job_id)
    assert (job.status, job.attempt, len(lost)) == ("succeeded", 1, 1)


async def test_a_job_from_the_queue_to_its_report(bench, store, submit):
    job_id = await submit(carbon={"country_iso_code": "FRA"})
    await run_job(bench, job_id)
    job, report = await store.get(job_id), await report_of(store, job_id)
    assert (job.status, job.stage, job.attempt, job.host) == ("succeeded", None, 1, "here")
    assert job.error is None
    assert (job.progress.epoch, job.progress.step, job.progress.eta_s) == (2, 0, None)
    assert report.job_id == job_id
    assert report.quality.test_accuracy > 0.3
    assert report.work.samples == 2 * 1437
    assert report.energy.cpu.energy_j == pytest.approx(100 * report.duration_s, rel=0.01)
    assert sum(p.energy_j for p in report.phases) == pytest.approx(report.energy.total_j, rel=1e-6)
    assert report.emissions.co2e_g > 0
    assert report.environment.tensorflow
    stored = await store.readings(job_id)
    assert report.readings_sha256 == stored.sha256()


@pytest.fixture
async def uploaded(store, bench):
    """Keeps a data set of a user's; the spec of a job on it, as the service fills it in."""
    file = io.BytesIO()
    x = np.random.default_rng(0).integers(0, 256, (400, 12, 12), np.uint8)
    np.savez(file, x_train=x, y_train=np.arange(400) % 2)

    async def chunks():
        yield file.getvalue()

    service = Service(store, bench.settings)
    await service.upload("mine", chunks())
    return lambda **more: service.submit(
        JobSpec.model_validate(QUICK | {"dataset": {"name": "mine"}} | more)
    )


async def test_a_job_trains_on_a_data_set_of_a_user_s(bench, store, uploaded):
    for _ in range(2):  # fetched, and found
        job = await uploaded()
        await run_job(bench, job.id)
        assert (await store.get(job.id)).status == "succeeded"
        assert (await report_of(store, job.id)).work.samples == 2 * 320


async def test_a_data_set_that_was_deleted_meanwhile_fails_the_job(
    bench, store, uploaded, database_url
):
    job = await uploaded()
    with psycopg.connect(database_url) as connection:  # in the moment of the submission
        connection.execute("DELETE FROM datasets")
    await run_job(bench, job.id)
    ended, report = await store.get(job.id), await report_of(store, job.id)
    assert (ended.status, ended.error.code) == ("failed", "dataset_gone")
    assert "upload it again" in ended.error.message
    assert (report.duration_s, report.energy.total_j) == (0, None)


async def test_a_model_type_that_this_worker_lacks_fails_the_job_with_a_report(bench, store):
    """Another process has a package that brings the family."""
    spec = JobSpec.model_validate(QUICK | {"model_type": "elsewhere"})
    job = await store.submit(spec, max_queued=10)
    await run_job(bench, job.id)
    ended, report = await store.get(job.id), await report_of(store, job.id)
    assert (ended.status, ended.error.code) == ("failed", "bad_spec")
    assert "model_type" in ended.error.message
    assert report.duration_s > 0
    assert report.work.parameters is None
    assert "model_type" in report.work.parameters_reason


async def test_two_jobs_one_after_the_other_are_both_right(bench, store, submit):
    first, second = await submit(), await submit()
    await asyncio.gather(run_job(bench, first), run_job(bench, second))
    for job_id in (first, second):
        report = await report_of(store, job_id)
        power_w = report.energy.total_j / report.duration_s
        assert power_w == pytest.approx(120, rel=0.01)
    one, two = [await report_of(store, job_id) for job_id in (first, second)]
    early, late = sorted((one, two), key=lambda report: report.started_at)
    assert early.finished_at <= late.started_at


async def test_two_workers_that_share_a_host_and_no_lock_file_take_turns(
    bench, store, submit, tmp_path
):
    apart = bench.settings.model_copy(update={"host_lock": tmp_path / "another lock"})
    other = Bench(settings=apart, store=store, meter=bench.meter, host=bench.host)
    jobs = [await submit(), await submit()]
    await asyncio.gather(run_job(bench, jobs[0]), run_job(other, jobs[1]))
    one, two = [await report_of(store, job_id) for job_id in jobs]
    early, late = sorted((one, two), key=lambda report: report.started_at)
    assert early.finished_at <= late.started_at


async def test_a_killed_child_fails_with_the_energy_up_to_its_end(bench, store, submit):
    job_id = await submit(epochs=10_000)
    running = asyncio.create_task(run_job(bench, job_id))
    await until(store, job_id, trains)
    (child,) = psutil.Process(child_of(bench)).children()
    os.kill(child.pid, signal.SIGKILL)
    await running
    job, report = await store.get(job_id), await report_of(store, job_id)
    assert (job.status, job.error.code) == ("failed", "killed")
    assert "SIGKILL" in job.error.message
    assert report.energy.total_j == pytest.approx(120 * report.duration_s, rel=0.01)


async def test_a_user_cancels_a_running_job(bench, store, submit):
    job_id = await submit(epochs=10_000)
    running = asyncio.create_task(run_job(bench, job_id))
    await until(store, job_id, trains)
    await store.cancel(job_id, lambda job: pytest.fail("it is not queued"))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    report = await report_of(store, job_id)
    assert (await store.get(job_id)).status is JobStatus.CANCELLED
    assert report.energy.total_j > 0
    assert not psutil.Process(child_of(bench)).children()


async def test_a_worker_that_stops_puts_its_job_back_and_keeps_the_energy(bench, store, submit):
    job_id = await submit(epochs=10_000)
    running = asyncio.create_task(run_job(bench, job_id))
    await until(store, job_id, trains)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    job = await store.get(job_id)
    assert (job.status, job.attempt) == (JobStatus.QUEUED, 1)
    (attempt,) = await store.attempts(job_id)
    assert (attempt.attempt, attempt.ended) == (1, "stopped")
    assert attempt.energy_j > 0


async def test_a_worker_that_stops_while_a_job_is_finished_finishes_it(bench, store, submit):
    job_id = await submit()
    accounting, account = asyncio.Event(), Bench.account
    loop = asyncio.get_running_loop()

    class Slow(Bench):
        def account(self, *given):
            loop.call_soon_threadsafe(accounting.set)
            time.sleep(0.3)
            return account(self, *given)

    slow = Slow(settings=bench.settings, store=store, meter=bench.meter, host=bench.host)
    running = asyncio.create_task(run_job(slow, job_id))
    await accounting.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await store.get(job_id)).status is JobStatus.SUCCEEDED
    assert (await report_of(store, job_id)).energy.total_j > 0


async def test_a_report_that_cannot_be_computed_fails_the_job_once(bench, store, submit):
    lost = bench.settings.model_copy(update={"country_iso_code": "QQQ"})
    unpriced = Bench(settings=lost, store=store, meter=bench.meter, host=bench.host)
    job_id = await submit()
    await run_job(unpriced, job_id)
    job = await store.get(job_id)
    assert (job.status, job.error.code, job.attempt) == (JobStatus.FAILED, "report_failed", 1)
    assert "QQQ" in job.error.message
    assert (await report_of(store, job_id)).emissions.reason == "report_failed"
    assert (await store.readings(job_id)).readings


async def test_the_sweep_survives_a_report_that_cannot_be_computed(bench, store, submit):
    update = {"country_iso_code": "QQQ", "max_attempts": 1}
    lost = bench.settings.model_copy(update=update)
    unpriced = Bench(settings=lost, store=store, meter=bench.meter, host=bench.host)
    job_id = await submit(epochs=10_000)
    await lose(bench, store, job_id)
    await sweep(unpriced)
    assert (await store.get(job_id)).error.code == "report_failed"


async def test_a_timeout_is_kept(bench, store, submit):
    job_id = await submit(epochs=10_000, limits={"timeout_s": 1.5})
    await run_job(bench, job_id)
    job, report = await store.get(job_id), await report_of(store, job_id)
    assert (job.status, job.error.code) == (JobStatus.TIMED_OUT, "timeout")
    assert report.duration_s >= 1.5


@pytest.mark.parametrize(
    ("limits", "code", "most_j"),
    [
        ({"energy_j": 180}, "energy_limit", 180),
        ({"emissions_g": 0.02}, "emissions_limit", 200),  # 360 g/kWh: 1 g is 10,000 J
    ],
)
async def test_a_budget_is_kept(bench, store, submit, *, limits, code, most_j):
    job_id = await submit(
        epochs=10_000, limits=limits, carbon={"intensity_g_per_kwh": 360, "pue": 1}
    )
    await run_job(bench, job_id)
    job, report = await store.get(job_id), await report_of(store, job_id)
    assert (job.status, job.error.code) == (JobStatus.BUDGET_EXHAUSTED, code)
    assert report.status is JobStatus.BUDGET_EXHAUSTED
    assert 0 <= (report.energy.total_j - most_j) / FLAT_W <= STOPS_WITHIN_S
    assert not psutil.Process(child_of(bench)).children()


async def test_where_a_budget_is_kept_readings_come_at_least_once_a_second(bench, store, submit):
    slow = bench.settings.model_copy(update={"sample_interval_s": 10})
    job_id = await submit(epochs=10_000, limits={"energy_j": 300})
    await run_job(replace(bench, settings=slow), job_id)
    stored = await store.readings(job_id)
    assert stored.sample_interval_s == 1
    over_j = (await report_of(store, job_id)).energy.total_j - 300
    assert 0 <= over_j / FLAT_W <= STOPS_WITHIN_S
    assert (await store.get(job_id)).status is JobStatus.BUDGET_EXHAUSTED
    free = await submit(limits={"timeout_s": 60})
    await run_job(replace(bench, settings=slow), free)
    assert (await store.readings(free)).sample_interval_s == 10


async def test_a_budget_is_the_jobs_and_not_the_attempts(bench, store, submit):
    job_id = await submit(epochs=10_000, limits={"energy_j": 1000})
    await lose(bench, store, job_id)
    await sweep(bench)
    (lost,) = await store.attempts(job_id)
    await run_job(bench, job_id)
    job, report = await store.get(job_id), await report_of(store, job_id)
    assert (job.status, job.error.code) == (JobStatus.BUDGET_EXHAUSTED, "energy_limit")
    assert report.energy.spent_j == pytest.approx(lost.energy_j + report.energy.total_j)
    assert report.energy.spent_j >= 1000
    assert report.energy.total_j < 1000


async def test_a_lost_job_that_has_used_all_it_may_does_not_run_again(bench, store, submit):
    job_id = await submit(epochs=10_000, limits={"energy_j": 1000})
    await lose(bench, store, job_id)
    *_, last = (await store.readings(job_id)).readings
    unseen = last.model_copy(update={"t_s": last.t_s + 1, "cpu_j": last.cpu_j + 1000, "ended": {}})
    await store.append(job_id, 1, [unseen.model_copy(update={"begins": None})])
    await sweep(bench)
    job, report = await store.get(job_id), await report_of(store, job_id)
    assert (job.status, job.error.code) == (JobStatus.BUDGET_EXHAUSTED, "energy_limit")
    assert (job.attempt, report.energy.spent_j > 1000) == (1, True)


async def test_a_job_that_has_used_all_it_may_ends_at_once(bench, store, submit):
    job_id = await submit(epochs=10_000, limits={"energy_j": 100})
    assert await store.claim(job_id, "here")
    await store.put_back(job_id, 1, ended="lost", energy_j=101.0, finish_queue_row=False)
    await run_job(bench, job_id)
    job, report = await store.get(job_id), await report_of(store, job_id)
    assert (job.status, job.error.code) == (JobStatus.BUDGET_EXHAUSTED, "energy_limit")
    assert report.energy.spent_j >= 101
    assert not [phase for phase in report.phases if phase.name == "epoch"]


async def test_a_target_ends_the_training_and_the_test_set_is_evaluated(bench, store, submit):
    job_id = await submit(epochs=50, target_accuracy=0.3)
    await run_job(bench, job_id)
    job, report = await store.get(job_id), await report_of(store, job_id)
    trained = [phase for phase in report.phases if phase.name == "epoch"]
    assert job.status is JobStatus.SUCCEEDED
    assert 0 < len(trained) < 50
    assert (job.progress.epoch, job.progress.epochs) == (len(trained), 50)
    assert trained[-1].validation_accuracy >= 0.3
    assert report.quality.target_reached is True
    assert report.quality.test_accuracy is not None
    assert report.efficiency.j_to_target == pytest.approx(sum(e.energy_j for e in trained))


BIG = {"dataset": {"name": "synthetic", "samples": 60_000}, "model_type": "rnn"}
LONG_TEST = {
    "model_type": "rnn",
    "size": "base",
    "epochs": 1,
    "batch_size": 8,
    "dataset": {"name": "synthetic", "shape": [4000, 8], "classes": 2, "samples": 8},
}


@pytest.mark.parametrize(
    ("stage", "fields"),
    [
        (Stage.STARTING, {}),
        (Stage.SETUP, BIG),
        (Stage.TRAINING, {"epochs": 10_000}),
        (Stage.EVALUATING, LONG_TEST),
    ],
)
async def test_a_user_cancels_in_every_stage(bench, store, submit, monkeypatch, *, stage, fields):
    if stage is Stage.STARTING:
        forks = Training._fork
        monkeypatch.setattr(Training, "_fork", lambda it: (time.sleep(1.0), forks(it)))
    job_id = await submit(**fields)
    running = asyncio.create_task(run_job(bench, job_id))
    await until(store, job_id, lambda job: job.stage is stage)
    await store.cancel(job_id, lambda job: pytest.fail("it is not queued"))
    cancelled_s = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await gone_s(store, job_id) - cancelled_s <= GONE_WITHIN_S
    job, report = await store.get(job_id), await report_of(store, job_id)
    assert (job.status, job.stage, job.error) == (JobStatus.CANCELLED, None, None)
    assert not psutil.Process(child_of(bench)).children()
    assert report.duration_s > 0
    if report.duration_s > 0.3:
        assert report.energy.total_j == pytest.approx(120 * report.duration_s, rel=0.01)


async def test_a_cancel_that_the_queue_does_not_bring_is_seen_all_the_same(
    bench, store, submit, monkeypatch
):
    seen_s, interrupt = [], Training.interrupt
    monkeypatch.setattr(
        Training, "interrupt", lambda it: (seen_s.append(time.monotonic()), interrupt(it))
    )
    job_id = await submit(epochs=10_000)
    running = asyncio.create_task(run_job(bench, job_id))
    await until(store, job_id, trains)
    await store.cancel(job_id, lambda job: pytest.fail("it is not queued"))
    await running
    assert await gone_s(store, job_id) - seen_s[0] <= GONE_WITHIN_S
    assert (await store.get(job_id)).status is JobStatus.CANCELLED
    assert not psutil.Process(child_of(bench)).children()


async def test_a_broken_meter_fails_the_job_in_words(bench, store, submit, meter):
    job_id = await submit(epochs=10_000)
    running = asyncio.create_task(run_job(bench, job_id))
    await until(store, job_id, trains)
    meter.broken = MeterError("the sensor is gone")
    await running
    job = await store.get(job_id)
    assert (job.status, job.error.code) == (JobStatus.FAILED, "meter_failed")
    assert "the sensor is gone" in job.error.message
    assert (await report_of(store, job_id)).energy.total_j > 0


@pytest.mark.parametrize("cancelled", [True, False])
async def test_a_meter_that_hangs_ends_the_job_and_the_worker(
    bench, store, submit, meter, monkeypatch, *, cancelled
):
    told, killed, goes_on = [], [], threading.Event()
    monkeypatch.setattr(attempt, "CUT_S", 0.2)
    monkeypatch.setattr(attempt, "kill_fork_server", lambda: killed.append("fork server"))
    limits = {} if cancelled else {"timeout_s": 6}  # trains by then, on a busy machine too
    job_id = await submit(epochs=10_000, limits=limits)
    watched = replace(bench, watchdog=Watchdog(600, told.append))
    running = asyncio.create_task(run_job(watched, job_id))
    await until(store, job_id, trains)
    read, meter.read = meter.read, lambda: (goes_on.wait(), read())[1]
    if cancelled:
        await store.cancel(job_id, lambda job: pytest.fail("it is not queued"))
    await over(running)
    (thread,) = [it for it in threading.enumerate() if it.name == "meter"]
    goes_on.set()
    await asyncio.to_thread(thread.join)
    job, report = await store.get(job_id), await report_of(store, job_id)
    assert (job.status, job.error.code) == (JobStatus.FAILED, "meter_failed")
    assert report.energy.total_j > 0
    assert (killed, [str(error) for error in told]) == (
        ["fork server"],
        ["the energy meter hangs: a new worker has to measure"],
    )
    assert not psutil.Process(child_of(bench)).children()


async def test_a_meter_that_gives_no_reading_ends_the_job_by_itself(
    bench, store, submit, meter, monkeypatch, caplog
):
    goes_on = threading.Event()
    monkeypatch.setattr(sampling, "BEHIND_S", 1.5)
    monkeypatch.setattr(sampling, "HANGS_S", 3.0)
    monkeypatch.setattr(attempt, "CUT_S", 0.2)
    monkeypatch.setattr(attempt, "kill_fork_server", lambda: None)
    job_id = await submit(epochs=10_000)
    watched = replace(bench, watchdog=Watchdog(600, lambda _: None))
    running = asyncio.create_task(run_job(watched, job_id))
    await until(store, job_id, trains)
    read, meter.read = meter.read, lambda: (goes_on.wait(), read())[1]
    await over(running)
    (thread,) = [it for it in threading.enumerate() if it.name == "meter"]
    goes_on.set()
    await asyncio.to_thread(thread.join)
    job = await store.get(job_id)
    assert (job.status, job.error.code) == (JobStatus.FAILED, "meter_failed")
    said = [line for line in caplog.messages if "sampling fell behind" in line]
    assert len(said) == 1
    assert job_id in said[0]
    assert not psutil.Process(child_of(bench)).children()


async def test_a_job_that_does_not_wait_any_more_is_left_alone(bench, store, submit):
    job_id = await submit()
    await run_job(bench, job_id)
    before = await store.report(job_id)
    await run_job(bench, job_id)
    assert await store.report(job_id) == before
    assert (await store.get(job_id)).attempt == 1


async def test_a_fenced_attempt_kills_its_child_and_writes_nothing(bench, store, submit):
    job_id = await submit(epochs=10_000)
    running = asyncio.create_task(run_job(bench, job_id))
    await until(store, job_id, trains)
    assert await store.put_back(job_id, 1, ended="lost", energy_j=None, finish_queue_row=False)
    with pytest.raises(FencedError):
        await running
    assert (await store.get(job_id)).status is JobStatus.QUEUED
    assert not psutil.Process(child_of(bench)).children()


async def test_a_job_whose_host_somebody_else_has_by_now_goes_back(
    bench, store, submit, database_url
):
    """As after a restart of the database, where a worker waits that shares no lock file."""
    brisk = replace(bench, settings=bench.settings.model_copy(update={"heartbeat_s": 0.2}))
    job_id, granted = await submit(epochs=10_000), "locktype = 'advisory' AND granted"
    running = asyncio.create_task(run_job(brisk, job_id))
    await until(store, job_id, trains)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as server:

        async def locked(kind):
            cursor = await server.execute(f"SELECT pid FROM pg_locks WHERE {kind}")
            return await cursor.fetchall()

        host = store.hold(f"host:{bench.host.boot_id or bench.host.name}")
        waiting = asyncio.create_task(host.__aenter__())
        while not await locked("NOT granted"):
            await asyncio.sleep(0.01)
        await server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE {granted}")
        other = await waiting
        await over(running)
        assert await other.renew() == ()
        await host.__aexit__(None, None, None)
    assert (await store.get(job_id)).status is JobStatus.QUEUED
    (stopped,) = await store.attempts(job_id)
    assert (stopped.ended, stopped.energy_j > 0) == ("stopped", True)
    assert not psutil.Process(child_of(bench)).children()


async def test_the_sweep_puts_a_lost_job_back_and_its_energy_is_spent(bench, store, submit):
    job_id = await submit(epochs=10_000)
    await lose(bench, store, job_id)
    assert await sweep(bench) >= 1
    assert (await store.get(job_id)).status is JobStatus.QUEUED
    (lost,) = await store.attempts(job_id)
    assert (lost.ended, lost.energy_j > 0) == ("lost", True)
    await store.cancel(job_id, lambda job: bench.account(job, None, JobStatus.CANCELLED, (lost,)))
    report = await report_of(store, job_id)
    assert report.energy.spent_j == pytest.approx(lost.energy_j)


async def test_the_second_attempt_adds_to_the_first(bench, store, submit):
    job_id = await submit(epochs=60)
    await lose(bench, store, job_id)
    await sweep(bench)
    await run_job(bench, job_id)
    job, report = await store.get(job_id), await report_of(store, job_id)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 2)
    lost, last = report.attempts
    assert (lost.attempt, lost.ended, last.attempt, last.ended) == (1, "lost", 2, "succeeded")
    assert last.energy_j == pytest.approx(report.energy.total_j)
    assert report.energy.spent_j == pytest.approx(lost.energy_j + last.energy_j)


async def test_two_sweeps_at_once_take_a_lost_job_once(bench, store, submit):
    job_id = await submit(epochs=10_000)
    await lose(bench, store, job_id)
    await asyncio.gather(*(sweep(bench) for _ in range(4)))
    assert (await store.get(job_id)).status is JobStatus.QUEUED
    assert [a.ended for a in await store.attempts(job_id)] == ["lost"]


async def test_the_sweep_fails_a_job_whose_attempts_are_used_up(bench, store, submit):
    job_id = await submit(epochs=10_000)
    once = Bench(
        settings=bench.settings.model_copy(update={"max_attempts": 1}),
        store=store,
        meter=bench.meter,
        host=bench.host,
    )
    await lose(bench, store, job_id)
    await sweep(once)
    job = await store.get(job_id)
    assert (job.status, job.error.code) == (JobStatus.FAILED, "attempts_used_up")
    assert (await report_of(store, job_id)).energy.total_j > 0


async def test_the_sweep_ends_a_lost_job_that_its_user_had_cancelled(bench, store, submit):
    job_id = await submit(epochs=10_000)
    await lose(bench, store, job_id)
    await store.cancel(job_id, lambda job: pytest.fail("it is not queued"))
    await sweep(bench)
    assert (await store.get(job_id)).status is JobStatus.CANCELLED


async def test_the_sweep_leaves_a_job_alone_whose_worker_lives(bench, store, submit):
    job_id = await submit(epochs=10_000)
    running = asyncio.create_task(run_job(bench, job_id))
    await until(store, job_id, trains)
    await sweep(bench)
    assert (await store.get(job_id)).status is JobStatus.RUNNING
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def lose(bench, store, job_id):
    """Leave a job as a worker that is killed while it trains: running, with its lock free."""
    lost = Losing(store)
    running = asyncio.create_task(
        run_job(
            Bench(settings=bench.settings, store=lost, meter=bench.meter, host=bench.host), job_id
        )
    )
    await until(store, job_id, trains)
    await asyncio.sleep(1.3)  # one more write of readings
    lost.gone = True
    running.cancel()
    with pytest.raises((asyncio.CancelledError, ConnectionError)):
        await running
    assert (await store.get(job_id)).status is JobStatus.RUNNING


class Losing:
    """A store whose every call fails once the worker counts as gone."""

    def __init__(self, store):
        self._store, self.gone = store, False

    def __getattr__(self, name):
        if self.gone:
            raise ConnectionError("this worker is gone")
        return getattr(self._store, name)


async def gone_s(store, job_id):
    """When the meter was read for the last time, after the end of the process; monotonic clock."""
    *_, last = (await store.readings(job_id)).readings
    return last.cpu_j / 100


def child_of(bench):
    from app.worker.process import fork_server_pid

    return fork_server_pid()
