"""CPU-seconds of real processes."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from app.metering.counters import CpuCounters, host_busy_source, service_processes

BURN = "import time\nwhile time.process_time() < 0.4: pass\n"


def test_a_process_that_works_is_seen_alone_and_in_the_host():
    counters = CpuCounters(None, ())
    child = subprocess.Popen([sys.executable, "-c", BURN + "input()"], stdin=subprocess.PIPE)
    before = counters.read(None)
    while (now := counters.read(child.pid)).job_cpu_s is None or now.job_cpu_s < 0.3:
        assert child.poll() is None
        time.sleep(0.02)
    child.communicate(b"\n")
    assert now.host_busy_s - before.host_busy_s >= 0.2


def test_an_ended_child_of_the_fork_server_keeps_its_seconds():
    counters = CpuCounters(os.getpid(), ())
    before = counters.read(None)
    subprocess.run([sys.executable, "-c", BURN], check=True)
    after = counters.read(None)
    assert after.job_cpu_s - before.job_cpu_s == pytest.approx(0.4, abs=0.25)


def test_a_service_process_that_ends_does_not_take_its_seconds_away():
    child = subprocess.Popen([sys.executable, "-c", BURN + "input()"], stdin=subprocess.PIPE)
    counters = CpuCounters(None, (psutil.Process(child.pid),))
    while (seen := counters.read(None)).service_cpu_s - seen.instrument_cpu_s < 0.3:
        time.sleep(0.02)
    child.communicate(b"\n")
    assert counters.read(None).service_cpu_s >= seen.service_cpu_s


def test_the_instrument_counts_this_process():
    counters = CpuCounters(None, ())
    first = counters.read(None).instrument_cpu_s
    while time.process_time() < first + 0.05:
        pass
    assert counters.read(None).instrument_cpu_s >= first + 0.05


def test_the_host_counter_is_the_whole_host_or_proc_stat():
    source = host_busy_source()
    assert source is None or source.exists()


def test_the_service_is_its_supervisor_and_not_this_process():
    family = {process.pid for process in service_processes(supervised=True)}
    assert os.getpid() not in family
    assert os.getppid() in family


def test_without_a_supervisor_the_programs_of_a_shell_are_not_the_service():
    assert service_processes(supervised=False) == ()


def test_what_a_child_used_before_the_window_is_not_counted_when_it_ends():
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN + 'input()'!r}])\n"
    parent = subprocess.Popen([sys.executable, "-c", code + "input()"], stdin=subprocess.PIPE)
    (child,) = wait_for(lambda: psutil.Process(parent.pid).children())
    wait_for(lambda: sum(child.cpu_times()[:2]) >= 0.35)
    counters = CpuCounters(None, (psutil.Process(parent.pid), child))
    before = counters.read(None)
    parent.stdin.write(b"\n")
    parent.stdin.flush()
    psutil.wait_procs([child], timeout=20)
    after = counters.read(None)
    gained_s = after.service_cpu_s - after.instrument_cpu_s
    gained_s -= before.service_cpu_s - before.instrument_cpu_s
    parent.communicate(b"\n")
    assert gained_s < 0.3  # it had used 0.4 s before


def wait_for(get):
    while not (got := get()):
        time.sleep(0.02)
    return got
