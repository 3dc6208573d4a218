"""CPU-seconds of a process that measures itself."""

import subprocess
import sys
import time

from app.measure import counters as module
from app.measure.counters import OwnCounters

BUSY = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"


def _burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_what_the_process_uses_is_the_jobs():
    counters = OwnCounters()
    before = counters.read()
    _burn(0.2)
    after = counters.read()
    assert after.job_cpu_s - before.job_cpu_s >= 0.19
    assert after.instrument_cpu_s == before.instrument_cpu_s == after.service_cpu_s
    assert after.host_busy_s - before.host_busy_s >= 0.15


def test_what_measuring_uses_is_the_instruments_and_not_the_jobs():
    counters = OwnCounters()
    before = counters.read()
    with counters.measuring():
        _burn(0.2)
    after = counters.read()
    assert after.instrument_cpu_s - before.instrument_cpu_s >= 0.19
    assert after.job_cpu_s - before.job_cpu_s < 0.19


def test_children_count_while_they_live_and_once_they_have_ended(monkeypatch):
    monkeypatch.setattr(module, "CHILDREN_PERIOD_S", 0)
    counters = OwnCounters()
    before = counters.read().job_cpu_s
    child = subprocess.Popen(
        [sys.executable, "-c", f"{BUSY}\nimport sys; sys.stdin.read()"], stdin=subprocess.PIPE
    )
    deadline_s = time.monotonic() + 30
    while counters.read().job_cpu_s - before < 0.28:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    alive = counters.read().job_cpu_s
    child.communicate()
    assert counters.read().job_cpu_s >= alive
