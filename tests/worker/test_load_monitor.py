"""What others use of the host, from counters of a known load under a clock of the test's own."""

from types import SimpleNamespace

import pytest

from app.metering.counters import CpuSeconds
from app.worker import load_monitor
from app.worker.load_monitor import LoadMonitor

CPUS = 4


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def monotonic(self):
        return self.now_s


class Counters:
    """CPU-seconds as the test sets them; `zero_s` is where the service's begin."""

    def __init__(self, zero_s=0.0):
        self.busy_s, self.service_s, self.job_s = 500.0, zero_s, None
        self.looked = 0

    def read(self, job):
        self.looked += 1
        return CpuSeconds(
            host_busy_s=self.busy_s,
            host_steal_s=None,
            job_cpu_s=self.job_s,
            service_cpu_s=self.service_s,
            instrument_cpu_s=None,
        )


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(load_monitor, "time", SimpleNamespace(monotonic=made.monotonic))
    return made


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
def load(counters, clock):
    return LoadMonitor(CPUS, lambda: counters)


def test_nothing_is_known_at_first(load, clock):
    assert load.others_share() is None
    load.look()
    clock.now_s += 0.4
    load.look()
    assert load.others_share() is None  # the counters go in steps


def test_the_share_is_that_of_the_last_second_without_the_service(load, clock, counters):
    for _ in range(3):
        load.look()
        clock.now_s += 1
        counters.busy_s += 1.5
        counters.service_s += 0.5
    load.look()
    assert load.others_share() == pytest.approx(1 / CPUS)
    clock.now_s += 1
    load.look()
    assert load.others_share() == 0


def test_looks_in_quick_succession_do_not_shorten_the_second(load, clock, counters):
    load.look()
    for _ in range(1000):
        clock.now_s += 0.002
        counters.busy_s += 0.002
        load.look()
    assert load.others_share() == pytest.approx(1 / CPUS, rel=0.01)


def test_the_readings_of_a_job_answer_right_after_it(load, clock):
    load.look()
    run = Counters(zero_s=70.0)
    run.job_s = 0.0
    for _ in range(4):
        load.note(run, run.read(None))
        clock.now_s += 1
        run.busy_s, run.job_s = run.busy_s + 3.2, run.job_s + 3.0
    load.note(run, run.read(None))
    assert load.others_share() == pytest.approx(0.2 / CPUS)
    looked = run.looked
    clock.now_s += 0.1
    load.look()
    assert run.looked == looked + 1  # its counters go on


def test_new_counters_go_on_from_the_old_ones(load, clock, counters):
    first = load.look()
    clock.now_s += 1
    counters.busy_s += 1
    load.look()
    other = Counters(zero_s=33.0)
    other.busy_s = 9000.0
    load.note(other, other.read(None))
    clock.now_s += 1
    other.busy_s += 1
    last = load.look()
    assert load.shares(first, last) == (pytest.approx(2 / 2 / CPUS), 0)


def test_the_processes_of_the_service_are_listed_anew(clock):
    made = []

    def make():
        made.append(Counters(zero_s=10.0 * len(made)))
        return made[-1]

    load = LoadMonitor(CPUS, make)
    for _ in range(40):
        load.look()
        clock.now_s += 1
        made[-1].busy_s += 0.5
    assert len(made) == 2
    assert load.others_share() == pytest.approx(0.5 / CPUS)


def test_a_host_without_counters_is_told_by_null(load, counters):
    counters.busy_s = None
    assert load.look() is None
    assert load.others_share() is None
