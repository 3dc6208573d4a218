"""Which RAPL packages are read: live ones whose counters stand alike, mirrors, denied ones."""

import time
from types import SimpleNamespace

import pytest

from app.domain.readings import Method
from app.metering import meter as module

RAPL = "codecarbon intel_rapl"


@pytest.fixture
def while_it_waits(monkeypatch):
    """What happens in each pause of the meter's start; the pauses themselves take no time."""

    def install(happens):
        pauses = []

        def sleep(pause_s):
            pauses.append(pause_s)
            happens()

        monkeypatch.setattr(module, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
        return pauses

    return install


def _draw(powercap, *joules):
    for number, drawn_j in enumerate(joules):
        powercap.draw(number, drawn_j)


def _names(meter):
    return [sensor.name for sensor in meter.facts.sensors]


def test_codecarbon_alone_drops_a_socket_whose_counter_stands_like_anothers(powercap):
    """The hazard itself: if this fails, the meter's second start is no longer needed."""
    import codecarbon

    powercap.add(700_000_000)
    powercap.add(700_400_000)
    tracker = module._start_tracker(codecarbon)
    try:
        (cpu,) = (item for item in tracker._hardware if type(item).__name__ == "CPU")
        _draw(powercap, 0.01, 0.02)  # what a few milliseconds draw
        tracker._measure_power_and_energy()
        (kept,) = cpu._intel_interface._rapl_files
        assert "intel-rapl:0" in kept.path
    finally:
        tracker.stop()


def test_two_live_sockets_whose_counters_stand_alike_are_both_read(
    powercap, while_it_waits, meter_of, attempt_of
):
    powercap.add(700_000_000)
    powercap.add(700_400_000)
    pauses = while_it_waits(lambda: _draw(powercap, 20, 12))
    meter = meter_of()
    assert len(pauses) == 1
    assert (_names(meter), meter.facts.left_out) == (["package-0", "package-1"], ())
    attempt = attempt_of(meter, [lambda: _draw(powercap, 30, 12)])
    assert attempt.cpu.component.energy_j == pytest.approx(42, rel=1e-5)


def test_two_live_sockets_that_drift_apart_slowly_are_started_more_than_once(
    powercap, while_it_waits, meter_of
):
    powercap.add(700_000_000)
    powercap.add(700_000_000)
    pauses = while_it_waits(lambda: _draw(powercap, 20, 19.4))
    meter = meter_of()
    assert len(pauses) == 2
    assert (_names(meter), meter.facts.left_out) == (["package-0", "package-1"], ())


def test_mirrors_of_one_counter_are_counted_once_and_nothing_is_left_out(
    powercap, while_it_waits, meter_of, attempt_of
):
    powercap.add(700_000_000)
    powercap.add(700_000_000)
    pauses = while_it_waits(lambda: _draw(powercap, 20, 20))
    meter = meter_of()
    assert len(pauses) == 1  # and no wait for what never comes apart
    assert (_names(meter), meter.facts.left_out) == (["package-0"], ())
    attempt = attempt_of(meter, [lambda: _draw(powercap, 30, 30)])
    assert attempt.cpu.component.energy_j == pytest.approx(30, rel=1e-5)


def test_a_socket_that_stays_too_near_to_another_is_named(powercap, while_it_waits, meter_of):
    powercap.add(700_000_000)
    powercap.add(700_800_000)
    pauses = while_it_waits(lambda: _draw(powercap, 20, 20))
    meter = meter_of()
    assert len(pauses) == module.APART_TRIES
    assert (_names(meter), meter.facts.left_out) == (["package-0"], ("package-1",))
    assert meter.facts.cpu.method is Method.MEASURED


def test_sockets_that_stand_apart_cost_no_pause(powercap, while_it_waits, meter_of):
    powercap.add(700_000_000)
    powercap.add(900_000_000)
    pauses = while_it_waits(lambda: None)
    assert _names(meter_of()) == ["package-0", "package-1"]
    assert pauses == []


def test_a_socket_that_cannot_be_read_beside_one_that_can_is_no_measurement(powercap, meter_of):
    powercap.add(5_000_000)
    powercap.add(9_000_000)
    powercap.take_away(1)
    meter = meter_of()
    cpu = meter.facts.cpu
    assert (cpu.method, cpu.source) == (Method.UNAVAILABLE, RAPL)
    assert "intel-rapl:1/energy_uj cannot be read" in cpu.reason
    assert meter.facts.sensors == ()
    assert (meter.read().cpu_j, meter.read().sensors_j) == (None, ())


def test_a_tree_without_a_package_is_no_measurement_of_nothing(powercap, meter_of):
    powercap.add(5_000_000, name="core")
    meter = meter_of()
    assert meter.facts.cpu.method is Method.UNAVAILABLE
    assert "none of a CPU package" in meter.facts.cpu.reason
    assert meter.read().cpu_j is None
