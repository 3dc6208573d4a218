"""The codecarbon meter: its private names, its readings, and what a simulated RAPL tree shows."""

import time

import pytest

from app.domain.errors import MeterError
from app.domain.readings import Method
from app.metering.meter import CodecarbonMeter


@pytest.fixture(scope="module")
def meter():
    meter = CodecarbonMeter()
    yield meter
    meter.close()


def test_the_pinned_version_has_every_private_name(meter):
    tracker = meter._tracker
    for name in (
        "_hardware",
        "_scheduler",
        "_scheduler_monitor_power",
        "_measure_power_and_energy",
        "_monitor_power",
        "_total_cpu_energy",
        "_total_gpu_energy",
        "_total_ram_energy",
    ):
        assert hasattr(tracker, name), name
    assert meter.facts.codecarbon == "3.3.2"


def test_both_schedulers_are_stopped(meter):
    assert meter._tracker._scheduler._stopped
    assert meter._tracker._scheduler_monitor_power._stopped
    before = meter._tracker._measure_occurrence
    time.sleep(1.2)  # the monitor's own period is 1 s
    assert meter._tracker._measure_occurrence == before


def test_counters_rise_with_time(meter):
    first = meter.read()
    time.sleep(0.2)
    second = meter.read()
    assert second.ram_j > first.ram_j
    if meter.facts.cpu.method is not Method.UNAVAILABLE:
        assert second.cpu_j > first.cpu_j


def test_ram_counts_its_flat_power(meter):
    first, began_s = meter.read(), time.perf_counter()
    time.sleep(0.5)
    second, ended_s = meter.read(), time.perf_counter()
    expected_j = meter.facts.ram.constant_w * (ended_s - began_s)
    assert second.ram_j - first.ram_j == pytest.approx(expected_j, rel=0.02)


def test_an_absent_component_is_null_and_not_zero(meter):
    if meter.facts.gpu.method is Method.ABSENT:
        assert meter.read().gpu_j is None


def test_a_failing_sensor_raises(meter, monkeypatch):
    def broken():
        raise OSError("the sensor is gone")

    monkeypatch.setattr(meter._tracker, "_measure_power_and_energy", broken)
    with pytest.raises(MeterError, match="the sensor is gone"):
        meter.read()


def test_no_environment_variable_changes_the_tracker(monkeypatch):
    monkeypatch.setenv("CODECARBON_PUE", "7")
    monkeypatch.setenv("CODECARBON_FORCE_CPU_POWER", "1000")
    monkeypatch.setenv("CODECARBON_TRACKING_MODE", "process")
    meter = CodecarbonMeter()
    try:
        assert meter._tracker._pue == 1.0
        assert meter._tracker._force_cpu_power is None
        assert meter._tracker._tracking_mode == "machine"
    finally:
        meter.close()


def test_every_argument_of_the_tracker_is_given():
    import inspect

    import codecarbon
    from codecarbon.emissions_tracker import BaseEmissionsTracker

    from app.metering import meter as module

    deprecated = {
        "save_to_file",
        "save_to_api",
        "save_to_logger",
        "save_to_prometheus",
        "save_to_logfire",
        "co2_signal_api_token",
    }
    wanted = {
        name
        for function in (BaseEmissionsTracker.__init__, codecarbon.OfflineEmissionsTracker.__init__)
        for name, parameter in inspect.signature(inspect.unwrap(function)).parameters.items()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        or parameter.kind is parameter.KEYWORD_ONLY
    } - {"self"}
    source = inspect.getsource(module._start_tracker)
    missing = {name for name in wanted - deprecated if f"{name}=" not in source}
    assert not missing
