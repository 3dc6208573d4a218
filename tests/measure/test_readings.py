"""The readings of a training that measures itself: ticks, marks, gaps, and how they stay few."""

import threading
import time

import pytest

from app.domain.errors import MeterError
from app.domain.readings import Phase
from app.measure import readings as module
from app.measure.counters import OwnCounters
from app.measure.readings import SelfReadings


@pytest.fixture
def make(meter):
    def made(interval_s=60.0):
        return SelfReadings(meter, OwnCounters(), interval_s)

    return made


@pytest.fixture
def facts(make_host):
    return make_host("box").facts


def _marks(record):
    return [(r.begins, r.index, r.ended) for r in record.readings if r.begins is not None]


def test_marks_carry_what_was_told_of_the_phase_before(make, facts):
    readings = make()
    readings.begin()
    readings.mark(Phase.EPOCH, 0)
    readings.tell(samples=10, loss=None)
    readings.mark(Phase.VALIDATION, 0)
    readings.end()
    record = readings.record(facts, None, None)
    assert _marks(record) == [
        (Phase.SETUP, None, {}),
        (Phase.EPOCH, 0, {}),
        (Phase.VALIDATION, 0, {"samples": 10}),
        (Phase.END, None, {}),
    ]
    assert record.readings[0].t_s == 0
    assert record.attempt == 1


def test_a_thread_reads_between_the_marks_and_stops_at_the_end(make, facts):
    readings = make(0.05)
    readings.begin()
    deadline_s = time.monotonic() + 30
    while len(readings.record(facts, None, None).readings) < 4:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    readings.end()
    seen = readings.record(facts, None, None).readings
    time.sleep(0.2)
    assert readings.record(facts, None, None).readings == seen
    assert [r.t_s for r in seen] == sorted(r.t_s for r in seen)


def test_what_lies_between_two_phases_at_once_is_left_out(make, facts, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE_S", 1e9)
    readings = make()
    readings.begin()
    readings.mark(Phase.EPOCH, 0)
    readings.tell(samples=10)
    readings.mark(Phase.OTHER)
    readings.mark(Phase.VALIDATION, 0)
    readings.end()
    assert _marks(readings.record(facts, None, None))[2:] == [
        (Phase.VALIDATION, 0, {"samples": 10}),
        (Phase.END, None, {}),
    ]


def test_what_takes_its_time_between_two_phases_is_other(make, facts, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE_S", 0.0)
    readings = make()
    readings.begin()
    readings.mark(Phase.EPOCH, 0)
    readings.mark(Phase.OTHER)
    readings.mark(Phase.EPOCH, 1)
    readings.end()
    names = [begins for begins, _, _ in _marks(readings.record(facts, None, None))]
    assert names == [Phase.SETUP, Phase.EPOCH, Phase.OTHER, Phase.EPOCH, Phase.END]


def test_a_mark_without_a_reading_lets_the_phase_go_on(make, facts, meter):
    readings = make()
    readings.begin()
    readings.mark(Phase.EPOCH, 0)
    readings.tell(samples=10)
    meter.fails = MeterError("away")
    readings.mark(Phase.VALIDATION, 0)
    meter.fails = None
    readings.end()
    assert _marks(readings.record(facts, None, None))[1:] == [
        (Phase.EPOCH, 0, {}),
        (Phase.END, None, {"samples": 10}),
    ]


def test_a_meter_that_fails_at_the_beginning_is_an_error(make, meter):
    meter.fails = MeterError("away")
    with pytest.raises(MeterError):
        make().begin()


def test_ticks_that_fail_are_gaps(make, facts, meter):
    readings = make(0.05)
    readings.begin()
    meter.fails = MeterError("away")
    time.sleep(0.3)
    meter.fails = None
    readings.end()
    taken = readings.record(facts, None, None).readings
    assert max(b.t_s - a.t_s for a, b in zip(taken, taken[1:], strict=False)) >= 0.2


def test_a_long_training_is_read_more_seldom_and_loses_no_mark(make, facts, monkeypatch):
    monkeypatch.setattr(module, "MOST_TICKS", 10)
    readings = make(1.0)
    readings._read(None)
    for _ in range(25):
        readings._read(None)
        readings.mark(Phase.EPOCH, 0)
    record = readings.record(facts, None, None)
    assert record.sample_interval_s > 1
    assert len([r for r in record.readings if r.begins is None]) <= 11
    assert len([r for r in record.readings if r.begins is Phase.EPOCH]) == 25
    assert record.readings[0].begins is Phase.SETUP
    assert record.readings[-1].begins is Phase.EPOCH


def test_phases_beyond_the_most_go_on_in_the_last_one_and_their_samples_add_up(
    make, facts, monkeypatch
):
    monkeypatch.setattr(module, "MOST_MARKS", 3)
    readings = make()
    readings.begin()
    for epoch in range(5):
        readings.mark(Phase.EPOCH, epoch)
        readings.tell(samples=10, loss=1.0 / (epoch + 1))
    readings.mark(Phase.EVALUATION)
    readings.end()
    assert _marks(readings.record(facts, None, None))[3:] == [
        (Phase.EPOCH, 2, {"samples": 10, "loss": 0.5}),
        (Phase.EVALUATION, None, {"samples": 30, "loss": 0.2}),
        (Phase.END, None, {}),
    ]


def test_a_meter_that_hangs_does_not_hold_up_the_end(make, facts, meter, monkeypatch):
    monkeypatch.setattr(module, "HANGS_S", 0.2)
    readings = make(0.05)
    readings.begin()
    hangs = threading.Event()

    def hang():
        hangs.wait(30)
        raise MeterError("away")

    meter.read = hang
    time.sleep(0.2)
    readings.end()
    hangs.set()
    readings._thread.join()
    assert Phase.END not in [r.begins for r in readings.record(facts, None, None).readings]
