"""Between jobs on a meter of 100 W: the idle power, who is told of it, and what may hold a job."""

import asyncio
import contextlib
import logging
import os
from datetime import UTC, datetime, timedelta

import pytest

from app import settings
from app.domain.errors import MeterError
from app.domain.readings import ComponentFacts, IdlePower, Method
from app.metering.conditions import Condition
from app.metering.host import host_facts
from app.worker import baseline_file, idle_monitor
from app.worker.gate import host_gate
from app.worker.idle_monitor import IdleMonitor
from app.worker.load_monitor import LoadMonitor

LOOK_S = 0.1


@pytest.fixture
def make(tmp_path, meter, load, monkeypatch):
    """Makes the idle_monitor of a worker with these settings, on a host with the load of `load`."""
    monkeypatch.setattr(idle_monitor, "PERIOD_S", LOOK_S)
    monkeypatch.setattr(idle_monitor, "SETTLE_S", 0.0)

    def make(hangs=pytest.fail, **given):
        given = {"baseline_window_s": 1.0, "baseline_short_s": 1.0} | given
        loaded = settings.load(data_dir=tmp_path, **given)
        made = IdleMonitor(loaded, meter, host_facts("here"), hangs)
        made.load = LoadMonitor(2, lambda: load)
        made._window = idle_monitor.Window(meter.facts, made.load, loaded.baseline_window_s)
        return made

    return make


@contextlib.asynccontextmanager
async def kept(it):
    """It looks on while the block runs."""
    task = asyncio.create_task(it.keep())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(true):
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.02)


def an_idle(*, age_s=0.0, window_s=60.0, cpu_w=50.0, **fields):
    return IdlePower(
        taken_at=datetime.now(UTC) - timedelta(seconds=age_s),
        window_s=window_s,
        cpu_w=cpu_w,
        gpu_w=None,
        **{"others_share": 0.0, "service_share": 0.0} | fields,
    )


async def test_the_idle_power_is_measured_and_kept_for_the_next_worker(make, tmp_path):
    it = make()
    async with kept(it):
        await until(lambda: it.idle)
    assert it.idle.cpu_w == pytest.approx(100, rel=0.05)
    assert it.idle.gpu_w is None
    assert it.idle.window_s >= 0.5
    assert (tmp_path / "baseline.json").exists()
    later = make()
    async with kept(later):
        await until(lambda: later.idle)
    assert later.idle == it.idle


async def test_on_a_busy_host_none_is_measured(make, load):
    load.use(others=0.5)
    it = make()
    async with kept(it):
        await asyncio.sleep(1.5)
        assert it.idle is None
        load.use()
        await until(lambda: it.idle)
    assert it.idle.others_share <= 0.05


async def test_while_the_service_is_busy_none_is_measured(make, load):
    load.use(service=0.5)
    it = make()
    async with kept(it):
        await asyncio.sleep(1.5)
    assert it.idle is None


async def test_one_that_is_too_old_is_measured_again(make):
    it = make(baseline_max_age_s=100)
    it.idle = an_idle(age_s=101)
    async with kept(it):
        await until(lambda: it.idle.cpu_w != 50)


async def test_one_that_is_young_and_whole_is_left_alone(make, meter):
    it = make()
    it.idle = before = an_idle()
    meter.broken = AssertionError("nobody may read the meter")
    async with kept(it):
        await asyncio.sleep(0.5)
    assert it.idle is before


async def test_a_short_one_is_followed_by_a_whole_one(make):
    it = make(baseline_window_s=2.0)
    it.idle = an_idle(window_s=1.0)
    async with kept(it):
        await until(lambda: it.idle.window_s >= 1.5)


async def test_without_a_sensor_there_is_no_window_and_no_wait(make, meter):
    cpu = ComponentFacts(method=Method.ESTIMATED, source="a model", tdp_w=100)
    meter.facts = meter.facts.model_copy(update={"cpu": cpu})
    meter.broken = AssertionError("nobody may read the meter")
    it = make()
    async with kept(it):
        await asyncio.sleep(0.8)
        async with it.held():
            assert await it.ready()
    assert it.idle is None


async def test_a_job_holds_the_meter(make, meter):
    it = make()
    async with kept(it), it.held():
        meter.broken = AssertionError("the job alone may read the meter")
        await asyncio.sleep(0.5)
        meter.broken = None
    assert it.idle is None


async def test_a_job_takes_the_window_so_far(make):
    it = make(baseline_window_s=60.0)
    async with kept(it):
        await asyncio.sleep(1.2)
        async with it.held():
            assert await it.ready()
            assert 0.5 <= it.idle.window_s < 10
            assert it.idle.cpu_w == pytest.approx(100, rel=0.05)


async def test_a_job_that_comes_before_waits_for_a_short_one(make):
    it = make(baseline_window_s=2.0, baseline_short_s=1.5)
    async with it.held():
        assert not await it.ready()
        looks = 1
        while not await it.ready():
            looks += 1
            await asyncio.sleep(LOOK_S)
        assert looks > 5
        assert it.idle.window_s >= 1.0


async def test_a_job_does_not_wait_for_one_that_is_too_old(make):
    it = make()
    it.idle = an_idle(age_s=10**6)
    async with kept(it):
        await asyncio.sleep(0.7)
        async with it.held():
            assert await it.ready()


async def test_a_disturbed_one_is_taken_in_the_end_and_marked(make, load):
    load.use(others=0.4)
    it = make()
    async with it.held():
        for _ in range(8):
            assert not await it.ready()
            await asyncio.sleep(LOOK_S)
        quiet = await it.begin(0.8)
    assert (quiet.waited_s, quiet.quiet) == (0.8, False)
    assert quiet.others_share == pytest.approx(0.4, rel=0.05)
    assert it.idle.others_share == pytest.approx(0.4, rel=0.05)


async def test_a_worker_takes_a_newer_calibration_up_before_its_next_job(make, tmp_path, meter):
    it = make()
    it.idle = an_idle(age_s=60)
    baseline_file.write(tmp_path, host_facts("here"), meter.facts, newer := an_idle(cpu_w=42.0))
    async with it.held():
        assert it.idle == newer
    it.idle = own = an_idle(cpu_w=7.0)
    async with it.held():
        assert it.idle == own


async def test_after_the_clock_was_set_back_the_idle_power_is_measured_again(make):
    it = make()
    it.idle = an_idle(age_s=-3 * 86_400, calibrated=True)
    async with kept(it):
        await until(lambda: it.idle.cpu_w != 50)


async def test_a_file_is_newer_whatever_the_clock_said_before(make, tmp_path, meter):
    it = make()
    it.idle = an_idle(age_s=-3 * 86_400, cpu_w=999.0, calibrated=True)
    new = an_idle(cpu_w=42.0, calibrated=True)
    baseline_file.write(tmp_path, host_facts("here"), meter.facts, new)
    async with it.held():
        assert it.idle == new


async def test_a_gpu_that_others_used_in_the_window_is_measured_again(make):
    it = make()
    it.idle = an_idle(gpu_utilization=0.5)
    async with kept(it):
        await until(lambda: it.idle.cpu_w != 50)


async def test_without_the_folder_of_its_lock_it_looks_on_and_says_so_once(make, tmp_path, caplog):
    folder = tmp_path / "locks"
    it = make(host_lock=folder / "host.lock")
    async with kept(it):
        await asyncio.sleep(0.8)
        assert it.idle is None
        assert [r.levelname for r in caplog.records] == ["WARNING"]
        assert "TRAINWATT_HOST_LOCK" in caplog.text
        folder.mkdir()
        await until(lambda: it.idle)


@pytest.mark.parametrize("make_one", [os.mkfifo, os.mkdir])
async def test_what_is_no_file_in_the_place_of_the_kept_one_holds_nobody_up(
    make, tmp_path, caplog, make_one
):
    make_one(tmp_path / "baseline.json")
    it = make()
    async with asyncio.timeout(20):
        async with kept(it):
            await until(lambda: it.idle)
        async with it.held():
            assert it.idle
    assert "expected a regular file" in caplog.text


async def test_a_meter_that_fails_holds_no_job(make, meter, caplog):
    it = make()
    meter.broken = MeterError("the sensor is gone")
    async with kept(it):
        await asyncio.sleep(0.8)
        async with it.held():
            assert await it.ready()
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "the sensor is gone" in caplog.text


async def test_a_counter_that_stands_still_holds_no_job_for_longer_than_a_short_window(make, meter):
    still = meter.read()
    meter.read = lambda: still
    it = make()
    async with asyncio.timeout(20), it.held():
        while not await it.ready():
            await asyncio.sleep(LOOK_S)
    assert it.idle is None


async def test_a_meter_that_hangs_ends_the_worker(make, meter, monkeypatch):
    told, goes_on = [], asyncio.Event()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(idle_monitor, "HANG_S", 0.2)
    read = meter.read
    meter.read = lambda: (asyncio.run_coroutine_threadsafe(goes_on.wait(), loop).result(), read())[
        1
    ]
    it = make(hangs=told.append)
    async with kept(it):
        await until(lambda: told)
        goes_on.set()
    assert "hangs" in str(told[0])


async def test_a_full_disk_keeps_the_idle_power_in_memory(make, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(baseline_file, "write", full)
    it = make()
    with caplog.at_level(logging.WARNING):
        async with kept(it):
            await until(lambda: it.idle)
    assert "No space left" in caplog.text


async def test_what_a_host_does_not_show_is_null_and_holds_no_job(make, load):
    read = load.read
    load.read = lambda job: read(job).model_copy(update={"host_busy_s": None})
    it = make()
    async with it.held():
        assert await it.ready()
        assert await it.begin(0.0) is None


async def test_a_disturbed_one_is_followed_by_a_quiet_one(make):
    it = make()
    it.idle = an_idle(others_share=0.2)
    async with kept(it):
        await until(lambda: it.idle.others_share == 0)


async def test_a_short_calibration_is_left_alone(make, meter):
    it = make(baseline_window_s=2.0)
    it.idle = before = an_idle(window_s=1.0, calibrated=True)
    meter.broken = AssertionError("nobody may read the meter")
    async with kept(it):
        await asyncio.sleep(0.5)
    assert it.idle is before


async def test_while_another_worker_measures_the_host_is_not_idle(make, tmp_path):
    lock = tmp_path / "host.lock"
    it = make(host_lock=lock)
    async with host_gate(lock), kept(it):
        await asyncio.sleep(1.5)
        assert it.idle is None
    async with kept(it):
        await until(lambda: it.idle)


async def test_a_gpu_in_use_is_no_quiet_host(make, monkeypatch):
    it, used = make(), [0.5]
    monkeypatch.setattr(it, "_host", it._host.model_copy(update={"gpus": ("a GPU",)}))
    monkeypatch.setattr(
        it._conditions, "read", lambda job: Condition(gpu_utilization=used[0] if not job else None)
    )
    async with it.held():
        await asyncio.sleep(0.6)
        for _ in range(15):
            assert not await it.ready()
            await asyncio.sleep(LOOK_S)
        assert (await it.begin(1.0)).quiet is False
        used[0] = 0.0
        assert await it.ready()


async def test_before_anything_is_known_it_says_so(make):
    it = make()
    async with it.held():
        quiet = await it.begin(0.0)
    assert (quiet.others_share, quiet.quiet) == (None, None)
