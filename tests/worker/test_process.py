"""Real training processes under a meter: events, kills, failures, the chain of death signals."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from app.domain.errors import MeterError, UnavailableError
from app.domain.readings import Phase
from app.domain.specs import JobSpec
from app.metering.counters import CpuCounters
from app.worker import process
from app.worker.messages import Ended, Failure, Forked, Seen
from app.worker.process import Training
from app.worker.recorder import Recorder

QUICK = {"model_type": "cnn", "size": "tiny", "epochs": 2, "dataset": {"name": "digits"}}
LONG = QUICK | {"epochs": 10_000}


@pytest.fixture
async def start(fork_server, meter, tmp_path):
    started = []

    def begin(fields=QUICK, tick_s=0.2, cache_dir=tmp_path):
        recorder = Recorder(meter, CpuCounters(fork_server, ()))
        training = Training(JobSpec.model_validate(fields), cache_dir, recorder, tick_s)
        training.start()
        started.append(training)
        return training

    yield begin
    for training in started:
        training.kill()
        await until_idle(training)


async def until_idle(training):
    """Let the meter's thread come to its end while its loop still runs."""
    async with asyncio.timeout(60):
        while training._thread.is_alive():
            await asyncio.sleep(0.02)


async def follow(training, until=Ended):
    events = []
    async with asyncio.timeout(120):
        while not events or not isinstance(events[-1], until | Ended):
            events.append(await training.next())
    return events


def readings(events):
    return [event.reading for event in events if isinstance(event, Seen)]


async def test_a_run_is_read_before_the_process_at_every_mark_and_after_the_end(start):
    events = await follow(start(tick_s=60))  # no other reading comes between
    marks = [(r.begins, r.index) for r in readings(events) if r.begins]
    assert marks == [
        (Phase.SETUP, None),
        (Phase.EPOCH, 0),
        (Phase.VALIDATION, 0),
        (Phase.EPOCH, 1),
        (Phase.VALIDATION, 1),
        (Phase.EVALUATION, None),
        (Phase.END, None),
    ]
    assert events[-1] == Ended(exit_code=0)
    first, *_, last = readings(events)
    assert first.t_s == 0
    assert last.begins is None
    times_s = [r.t_s for r in readings(events)]
    assert times_s == sorted(times_s)
    assert last.job_cpu_s > 0


async def test_between_marks_it_is_read_at_every_tick(start):
    events = await follow(start(tick_s=0.05))
    assert sum(1 for r in readings(events) if r.begins is None) >= 3


async def test_a_kill_ends_it_with_a_last_reading(start):
    training = start(LONG)
    before = await follow(training, until=Forked)
    training.kill()
    after = await follow(training)
    assert after[-1] == Ended(exit_code=-signal.SIGKILL)
    assert readings(after)[-1].t_s >= readings(before)[-1].t_s


async def test_a_kill_before_the_process_exists_leaves_none(start, fork_server):
    training = start(LONG)
    training.kill()
    events = await follow(training)
    assert events[-1].exit_code == -signal.SIGKILL
    await gone(fork_server)


async def test_a_kill_from_outside_is_seen(start):
    training = start(LONG)
    await follow(training, until=Forked)
    os.kill(training._process.pid, signal.SIGKILL)
    assert (await follow(training))[-1] == Ended(exit_code=-signal.SIGKILL)


async def test_a_training_that_raises_is_a_failure_in_words(start, tmp_path):
    (tmp_path / "cache").write_text("not a folder")
    events = await follow(start(cache_dir=tmp_path / "cache" / "below"))
    (failure,) = [event for event in events if isinstance(event, Failure)]
    assert failure.code == "training_error"
    assert "cache" in failure.message
    assert events[-1].exit_code == 1


async def test_a_meter_that_fails_ends_the_process_and_names_the_error(start, meter, fork_server):
    training = start(LONG)
    await follow(training, until=Forked)
    meter.broken = MeterError("the sensor is gone")
    ended = (await follow(training))[-1]
    assert isinstance(ended.error, MeterError)
    await gone(fork_server)


async def test_no_process_is_left_by_any_of_these(start, fork_server):
    for _ in range(3):
        training = start(LONG)
        await follow(training, until=Forked)
        training.kill()
        await follow(training)
    await gone(fork_server)


async def gone(fork_server):
    """Wait until the fork server has no child."""
    async with asyncio.timeout(20):
        while psutil.Process(fork_server).children():
            await asyncio.sleep(0.05)


WORKER = """
import multiprocessing, os, sys, time
from app.worker import process

CHILD = '''
import ctypes, os
from app.parent import die_with_parent
die_with_parent()
print(os.getpid(), flush=True)
{body}
'''

if __name__ == "__main__":
    process.start_fork_server()
    child = process._context().Process(target=exec, args=(CHILD,))
    child.start()
    print(process.fork_server_pid(), flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize(
    "body",
    ["import time; time.sleep(600)", "ctypes.PyDLL(None).sleep(600)"],
    ids=["in Python", "in a C call that holds the interpreter"],
)
def test_nobody_outlives_a_killed_worker(tmp_path, body):
    script = tmp_path / "worker.py"
    script.write_text(WORKER.replace("{body}", body))
    worker = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
        text=True,
    )
    pids = [int(worker.stdout.readline()), int(worker.stdout.readline())]
    assert all(psutil.pid_exists(pid) for pid in pids)
    worker.kill()
    worker.wait()
    deadline_s = time.monotonic() + 20
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline_s, f"alive after their worker: {pids}"
        time.sleep(0.02)
    worker.stdout.close()


def alive(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_the_peak_of_a_matrix_product_comes_from_a_child(fork_server):
    found = process.matmul_flops_per_s()
    assert set(found) == {"float32", "bfloat16"}
    assert min(found.values()) > 0
    assert psutil.Process(fork_server).children() == []


def _silent(pipe):
    pipe.close()


def test_a_peak_that_does_not_come_is_said(fork_server, monkeypatch):
    monkeypatch.setattr(process.child, "peak", _silent)
    with pytest.raises(UnavailableError, match=r"expected FLOP/s by precision, received None"):
        process.matmul_flops_per_s()
    assert psutil.Process(fork_server).children() == []
