"""Readings of one attempt: joules first, conditions once a second, digits that mean something."""

import os

import pytest

from app.domain.errors import MeterError
from app.domain.readings import ComponentFacts, MeterFacts, Method, Phase
from app.metering.conditions import Condition
from app.metering.counters import CpuCounters, CpuSeconds
from app.metering.meter import Energies
from app.worker import recorder as module
from app.worker.messages import Mark
from app.worker.recorder import Recorder

ABSENT = ComponentFacts(method=Method.ABSENT)


class Parts:
    """A meter, CPU counters, conditions and a clock, which note the order they are asked in."""

    facts = MeterFacts(cpu=ABSENT, gpu=ABSENT, ram=ABSENT, codecarbon="0")

    def __init__(self):
        self.asked, self.now_s = [], 100.0

    def recorder(self):
        return Recorder(Named(self._joules), Named(self._cpu_s), Named(self._condition))

    def monotonic(self):
        self.asked.append("clock")
        return self.now_s

    def _joules(self):
        self.asked.append("joules")
        return Energies(cpu_j=1 / 3, gpu_j=None, ram_j=2.0, sensors_j=(2 / 3, None))

    def _cpu_s(self, job):
        self.asked.append("cpu seconds")
        return CpuSeconds(**dict.fromkeys(CpuSeconds.model_fields))

    def _condition(self, job):
        self.asked.append("conditions")
        return Condition(memory_used_gib=1.5, job_memory_gib=None if job is None else 0.25)


class Named:
    """An object that is only read."""

    def __init__(self, read):
        self.read = read


@pytest.fixture
def parts(monkeypatch):
    parts = Parts()
    monkeypatch.setattr(module, "time", parts)
    monkeypatch.setattr(module, "governor", lambda: "performance")
    return parts


def test_conditions_are_read_after_everything_that_has_a_moment(parts):
    parts.recorder()(None, None)
    assert parts.asked == ["clock", "joules", "clock", "cpu seconds", "conditions"]


def test_conditions_once_a_second_and_not_at_every_mark(parts):
    recorder, seen = parts.recorder(), []
    for t_s in (0.0, 0.2, 0.89, 1.0, 1.5, 1.99, 2.0):
        parts.now_s = 100.0 + t_s
        reading = recorder(7, Mark(begins=Phase.EPOCH, index=0))
        seen.append((t_s, reading.memory_used_gib is not None))
    assert [t_s for t_s, known in seen if known] == [0.0, 1.0, 1.99]


def test_the_jobs_memory_is_that_of_its_process(parts):
    recorder = parts.recorder()
    assert recorder(None, None).job_memory_gib is None
    parts.now_s += 1
    assert recorder(7, None).job_memory_gib == 0.25


def test_the_governor_is_that_of_the_first_reading(parts, monkeypatch):
    recorder = parts.recorder()
    assert recorder.governor is None
    recorder(None, None)
    monkeypatch.setattr(module, "governor", lambda: "powersave")
    recorder(None, None)
    assert recorder.governor == "performance"


def test_every_sensor_to_the_microjoule(parts):
    reading = parts.recorder()(None, None)
    assert (reading.cpu_j, reading.gpu_j, reading.sensors_j) == (0.333333, None, (0.666667, None))


def test_the_first_reading_is_second_0_and_begins_setup(parts):
    recorder = parts.recorder()
    first = recorder(None, None)
    parts.now_s += 0.5
    second = recorder(None, None)
    assert (first.t_s, first.begins, second.t_s, second.begins) == (0, Phase.SETUP, 0.5, None)
    assert recorder.started_at is not None


def test_on_this_host_with_nothing_replaced(meter, fork_server):
    reading = Recorder(meter, CpuCounters(fork_server, ()))(os.getpid(), None)
    assert reading.memory_used_gib > 0
    assert reading.job_memory_gib > 0
    assert reading.instrument_cpu_s > 0


@pytest.mark.parametrize(
    ("took_s", "asked", "moment_s"),
    [
        ((0.0002, 0.0007), 2, 0.00035),
        ((0.0002, 0.0150, 0.0003), 3, 0.01515),
        ((0.0002, 0.0150, 0.0400), 3, 0.0075),
        ((0.0100, 0.0100, 0.0200), 3, 0.01),  # a GPU's driver takes its time, and that is usual
    ],
)
def test_a_reading_that_was_held_up_is_done_once_more(parts, took_s, asked, moment_s):
    recorder, waits = parts.recorder(), iter(took_s)
    joules = parts._joules

    def slow():
        parts.now_s += next(waits)
        return joules()

    parts._joules = slow
    recorder._meter = Named(slow)
    recorder(None, None)
    began_s = parts.now_s
    reading = recorder(7, None)
    assert parts.asked.count("joules") == asked
    assert reading.t_s + recorder._zero_s - began_s == pytest.approx(moment_s, abs=1e-6)


def test_a_second_reading_that_fails_costs_nothing(parts):
    recorder, waits = parts.recorder(), iter((0.0002, 0.015))

    def slow():
        parts.now_s += next(waits, 0.0)
        if parts.asked.count("joules") == 2:
            raise MeterError("the sensor is gone")
        return parts._joules()

    recorder._meter = Named(slow)
    recorder(None, None)
    assert recorder(7, None).cpu_j == 0.333333
