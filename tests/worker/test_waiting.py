"""A job on a host that is not quiet: it waits in a stage of its own, for a bounded time."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from app import settings
from app.domain.errors import UnavailableError
from app.domain.jobs import JobStatus, Stage
from app.domain.reports import EnergyReport
from app.domain.specs import JobSpec
from app.metering.host import host_facts
from app.worker.attempt import FencedError, run_job
from app.worker.bench import Bench
from app.worker.gate import host_gate
from app.worker.load_monitor import LoadMonitor
from app.worker.process import Training
from app.worker.sweep import sweep
from app.worker.watchdog import Watchdog

QUICK = {"model_type": "cnn", "size": "tiny", "epochs": 1, "dataset": {"name": "digits"}}
ENDS_WITHIN_S = 2.0  # a job that was cancelled
PATIENCE_S = 60.0


@pytest.fixture
def make(store, meter, load, fork_server, tmp_path):
    """Makes the bench of a worker with these settings, on a host with the load of `load`."""

    def make(**given):
        loaded = settings.load(
            data_dir=tmp_path,
            host_lock=tmp_path / "lock",
            host_name="here",
            sample_interval_s=0.2,
            **{"baseline_short_s": 1.0} | given,
        )
        bench = Bench(settings=loaded, store=store, meter=meter, host=host_facts("here"))
        bench.idle_monitor.load = LoadMonitor(2, lambda: load)
        bench.idle_monitor._window._load = bench.idle_monitor.load
        return bench

    return make


@pytest.fixture
def submit(store):
    async def submit(**fields):
        return (await store.submit(JobSpec.model_validate(QUICK | fields), max_queued=10)).id

    return submit


@pytest.fixture
def never_forks(monkeypatch):
    """Nothing trains in this test."""
    monkeypatch.setattr(Training, "start", lambda _: pytest.fail("the run has begun"))


async def until(store, job_id, done):
    async with asyncio.timeout(PATIENCE_S):
        while not done(job := await store.get(job_id)):
            await asyncio.sleep(0.02)
    return job


def waits(job):
    return job.stage is Stage.WAITING_FOR_QUIET


async def report_of(store, job_id):
    return EnergyReport.model_validate_json(await store.report(job_id))


async def watched(bench):
    """Look as a worker does between jobs, until the last second is known."""
    for _ in range(11):
        bench.idle_monitor.load.look()
        await asyncio.sleep(0.1)


async def idle_known(bench):
    """A baseline, so that only the load decides."""
    async with bench.idle_monitor.held():
        while not await bench.idle_monitor.ready() and bench.idle_monitor.idle is None:
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def waiting(bench, store, job_id, load):
    """The task of a job that waits for a load to end."""
    await idle_known(bench)
    load.use(others=0.4)
    await watched(bench)
    running = asyncio.create_task(run_job(bench, job_id))
    await until(store, job_id, waits)
    yield running


async def test_on_a_quiet_host_it_begins_at_once(make, store, submit):
    bench = make()
    await idle_known(bench)
    await watched(bench)
    job_id = await submit()
    await run_job(bench, job_id)
    stored = await store.readings(job_id)
    assert (stored.quiet.waited_s, stored.quiet.quiet) == (0, True)
    assert stored.quiet.others_share <= 0.05
    assert stored.idle == bench.idle_monitor.idle
    assert stored.idle.cpu_w == pytest.approx(100, rel=0.05)


async def test_it_waits_for_a_load_to_end_and_none_of_that_is_its_own(make, store, submit, load):
    bench = make()
    job_id = await submit()
    async with waiting(bench, store, job_id, load) as running:
        job = await store.get(job_id)
        assert (job.status, job.attempt) == (JobStatus.RUNNING, 1)
        await asyncio.sleep(1.2)
        assert waits(await store.get(job_id))
        load.use()
        ended_s = time.monotonic()
        await until(store, job_id, lambda job: not waits(job))
        assert time.monotonic() - ended_s < 5  # a second of quiet, and not the whole bound
        await running
    stored, report = await store.readings(job_id), await report_of(store, job_id)
    assert (await store.get(job_id)).status is JobStatus.SUCCEEDED
    assert stored.quiet.quiet
    assert 1.2 <= stored.quiet.waited_s < 8
    assert stored.readings[0].cpu_j / 100 >= ended_s  # of a meter that counts from second 0
    assert report.energy.total_j == pytest.approx(120 * report.duration_s, rel=0.02)
    assert sum(p.duration_s for p in report.phases) == pytest.approx(report.duration_s)


async def test_the_wait_is_bounded_and_told(make, store, submit, load):
    bench = make(quiet_wait_s=1.5)
    job_id = await submit()
    async with waiting(bench, store, job_id, load) as running:
        await running
    quiet = (await store.readings(job_id)).quiet
    assert not quiet.quiet
    assert quiet.waited_s == pytest.approx(1.5, abs=0.6)
    assert quiet.others_share == pytest.approx(0.4, rel=0.1)
    assert (await store.get(job_id)).status is JobStatus.SUCCEEDED


async def test_a_wait_of_nothing_only_tells(make, store, submit, load):
    bench = make(quiet_wait_s=0)
    load.use(others=0.4)
    await watched(bench)
    job_id = await submit()
    await run_job(bench, job_id)
    quiet = (await store.readings(job_id)).quiet
    assert (quiet.waited_s, quiet.quiet) == (0, False)
    assert quiet.others_share == pytest.approx(0.4, rel=0.1)


async def test_the_time_limit_begins_with_the_run(make, store, submit, load):
    bench = make(quiet_wait_s=2)
    job_id = await submit(epochs=10_000, limits={"timeout_s": 1.5})
    async with waiting(bench, store, job_id, load) as running:
        await running
    assert (await store.get(job_id)).status is JobStatus.TIMED_OUT
    assert (await report_of(store, job_id)).duration_s >= 1.5


async def test_without_an_idle_power_it_waits_for_a_short_window(make, store, submit):
    bench = make(baseline_short_s=2.0)
    job_id = await submit()
    running = asyncio.create_task(run_job(bench, job_id))
    await until(store, job_id, waits)
    await running
    stored = await store.readings(job_id)
    assert stored.quiet.quiet
    assert stored.quiet.waited_s >= 1
    assert 1 <= stored.idle.window_s < 10
    assert stored.idle.cpu_w == pytest.approx(100, rel=0.05)


async def test_meanwhile_it_holds_the_host(make, store, submit, load, tmp_path):
    bench = make()
    async with waiting(bench, store, await submit(), load) as running:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6), host_gate(tmp_path / "lock"):
                pytest.fail("two on one host")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


@pytest.mark.parametrize("by_queue", [True, False])
@pytest.mark.usefixtures("never_forks")
async def test_a_user_cancels_it(make, store, submit, load, *, by_queue):
    bench = make()
    job_id = await submit()
    async with waiting(bench, store, job_id, load) as running:
        await store.cancel(job_id, lambda _: pytest.fail("it is not queued"))
        cancelled_s = time.monotonic()
        if by_queue:
            running.cancel()
        await asyncio.wait([running], timeout=PATIENCE_S)
        assert time.monotonic() - cancelled_s < ENDS_WITHIN_S
    job, report = await store.get(job_id), await report_of(store, job_id)
    assert (job.status, job.stage, job.error) == (JobStatus.CANCELLED, None, None)
    assert [reason.code for reason in report.trust.reasons] == ["never_started"]
    assert (report.duration_s, report.energy.total_j, report.attempts) == (0, None, ())
    assert await store.readings(job_id) is None


@pytest.mark.usefixtures("never_forks")
async def test_a_worker_that_stops_puts_it_back(make, store, submit, load):
    bench = make()
    job_id = await submit()
    async with waiting(bench, store, job_id, load) as running:
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    job = await store.get(job_id)
    assert (job.status, job.stage, job.attempt) == (JobStatus.QUEUED, None, 1)
    (attempt,) = await store.attempts(job_id)
    assert (attempt.ended, attempt.energy_j) == ("stopped", 0)


@pytest.mark.parametrize("by_user", [True, False])
@pytest.mark.usefixtures("never_forks")
async def test_what_is_cancelled_while_it_is_claimed_is_not_forgotten(
    make, store, submit, *, by_user
):
    bench, job_id, claim = make(), await submit(), store.claim

    async def claim_and_be_cancelled(*given, **more):
        job = await claim(*given, **more)
        if by_user:
            await store.cancel(job_id, lambda _: pytest.fail("it is not queued"))
        running.cancel()
        await asyncio.sleep(0.1)
        return job

    store.claim = claim_and_be_cancelled
    running = asyncio.create_task(run_job(bench, job_id))
    with pytest.raises(asyncio.CancelledError):
        await running
    job = await store.get(job_id)
    assert job.status is (JobStatus.CANCELLED if by_user else JobStatus.QUEUED)


@pytest.mark.usefixtures("never_forks")
async def test_another_attempt_ends_the_wait(make, store, submit, load):
    bench = make()
    job_id = await submit()
    async with waiting(bench, store, job_id, load) as running:
        await store.put_back(job_id, 1, ended="lost", energy_j=None, finish_queue_row=False)
        with pytest.raises(FencedError):
            await running


@pytest.mark.usefixtures("never_forks")
async def test_without_its_database_it_gives_up(make, store, submit, load):
    bench = make(quiet_wait_s=10)
    job_id = await submit()
    await idle_known(bench)
    load.use(others=0.4)
    await watched(bench)
    told = []
    append = store.append

    async def away(*given, **more):
        raise UnavailableError("the database does not answer")

    running = asyncio.create_task(run_job(cut_off(bench, told), job_id))
    await until(store, job_id, waits)
    store.append = away
    with pytest.raises(UnavailableError):
        await asyncio.wait_for(running, PATIENCE_S)
    store.append = append
    assert len(told) == 1


def cut_off(bench, told):
    """The same bench, whose watchdog gives up after half a second without the database."""
    cut = Bench(
        settings=bench.settings,
        store=bench.store,
        meter=bench.meter,
        host=bench.host,
        watchdog=Watchdog(0.5, told.append),
    )
    vars(cut)["idle_monitor"] = bench.idle_monitor
    return cut


@pytest.mark.usefixtures("never_forks")
async def test_nothing_trains_before_it_is_stored_that_the_wait_is_over(make, store, submit, load):
    bench, told, append = make(quiet_wait_s=10), [], store.append
    job_id = await submit()

    async def away_as_it_ends(*given, stage, **more):
        if stage is Stage.STARTING:
            raise UnavailableError("the database does not answer")
        return await append(*given, stage=stage, **more)

    async with waiting(cut_off(bench, told), store, job_id, load) as running:
        store.append = away_as_it_ends
        load.use()
        with pytest.raises(UnavailableError):
            await asyncio.wait_for(running, PATIENCE_S)
    store.append = append
    assert len(told) == 1
    assert waits(await store.get(job_id))  # of which the sweep knows that nothing was spent


@pytest.mark.parametrize("by_user", [True, False])
@pytest.mark.usefixtures("never_forks")
async def test_who_asks_it_to_end_while_that_is_stored_is_heard(
    make, store, submit, load, *, by_user
):
    bench, append, asked, goes_on = make(), store.append, asyncio.Event(), asyncio.Event()
    job_id = await submit()

    async def slow(*given, stage, **more):
        if stage is Stage.STARTING:
            asked.set()
            await goes_on.wait()
        return await append(*given, stage=stage, **more)

    async with waiting(bench, store, job_id, load) as running:
        store.append = slow
        load.use()
        await asyncio.wait_for(asked.wait(), PATIENCE_S)
        if by_user:
            await store.cancel(job_id, lambda _: pytest.fail("it is not queued"))
        running.cancel()
        await asyncio.sleep(0.1)
        goes_on.set()
        with pytest.raises(asyncio.CancelledError):
            await running
    job = await store.get(job_id)
    assert job.status is (JobStatus.CANCELLED if by_user else JobStatus.QUEUED)
    if not by_user:
        (attempt,) = await store.attempts(job_id)
        assert (attempt.ended, attempt.energy_j) == ("stopped", 0)


@pytest.mark.parametrize("cancelled", [True, False])
@pytest.mark.usefixtures("never_forks")
async def test_the_sweep_takes_one_whose_worker_was_lost(make, store, submit, load, *, cancelled):
    bench = make(lease_s=0.1, heartbeat_s=0.05)
    job_id = await submit()
    assert await store.claim(job_id, "gone", Stage.WAITING_FOR_QUIET)
    if cancelled:
        await store.cancel(job_id, lambda _: pytest.fail("it is not queued"))
    await sweep(bench)
    job = await store.get(job_id)
    if cancelled:
        assert job.status is JobStatus.CANCELLED
        report = await report_of(store, job_id)
        assert [reason.code for reason in report.trust.reasons] == ["never_started"]
        return
    assert job.status is JobStatus.QUEUED
    (attempt,) = await store.attempts(job_id)
    assert (attempt.ended, attempt.energy_j) == ("lost", 0)


@contextlib.contextmanager
def planted():
    """A busy program on every CPU of the host."""
    code = "while True: pass"
    busy = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


async def test_a_worker_sees_a_program_that_is_busy_and_goes_on_after_its_bound(
    start, store, database_url
):
    start(database_url, TRAINWATT_QUIET_WAIT_S="2")
    await ready(store)
    with planted():
        await asyncio.sleep(1.5)
        job_id = await submitted(store)
        await until(store, job_id, waits)
        await until(store, job_id, lambda job: job.status.final)
    quiet = (await store.readings(job_id)).quiet
    assert (await store.get(job_id)).status is JobStatus.SUCCEEDED
    assert not quiet.quiet
    assert quiet.waited_s >= 2
    assert quiet.others_share > 0.3  # what the load is on a host that others use too


@pytest.mark.parametrize(
    ("number", "exit_code", "ended", "lease_s"),
    [(signal.SIGTERM, 0, "stopped", 60), (signal.SIGKILL, -signal.SIGKILL, "lost", 6)],
)
async def test_a_worker_that_ends_in_the_wait_leaves_the_job_to_the_next(
    start, store, database_url, *, number, exit_code, ended, lease_s
):
    hasty = {"TRAINWATT_LEASE_S": str(lease_s), "TRAINWATT_HEARTBEAT_S": "0.5"}
    worker = start(database_url, TRAINWATT_QUIET_WAIT_S="10", **hasty)
    await ready(store)
    family = psutil.Process(worker.pid).children(recursive=True)
    with planted():
        await asyncio.sleep(1.5)
        job_id = await submitted(store)
        await until(store, job_id, waits)
        worker.send_signal(number)
        assert worker.wait(PATIENCE_S) == exit_code
    assert not psutil.wait_procs(family, timeout=PATIENCE_S)[1]
    start(database_url, **hasty, TRAINWATT_SWEEP_INTERVAL_S="0.3")
    await until(store, job_id, lambda job: job.status.final)
    job, report = await store.get(job_id), await report_of(store, job_id)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 2)
    assert (report.attempts[0].ended, report.attempts[0].energy_j) == (ended, 0)
    assert "spent_incomplete" not in {reason.code for reason in report.trust.reasons}


async def ready(store):
    async with asyncio.timeout(PATIENCE_S):
        while not any(host.ready for host in await store.hosts()):
            await asyncio.sleep(0.1)
    await asyncio.sleep(2)  # for which it looks at the host


async def submitted(store):
    return (await store.submit(JobSpec.model_validate(QUICK), max_queued=10)).id
