"""The codecarbon meter: every private name that it uses, its arguments, and its readings."""

import ast
import inspect
import re
import signal
import socket
import time
from types import SimpleNamespace

import pytest

from app.domain.errors import MeterError
from app.domain.readings import Method
from app.metering import meter as module
from app.metering import rapl, sensors
from app.metering.meter import CodecarbonMeter


@pytest.fixture(scope="module")
def meter():
    meter = CodecarbonMeter()
    yield meter
    meter.close()


PRIVATE = {
    "tracker": {
        "_conf",
        "_hardware",
        "_measure_power_and_energy",
        "_monitor_power",
        "_scheduler",
        "_scheduler_monitor_power",
        "_total_cpu_energy",
        "_total_ram_energy",
    },
    "cpu": {"_is_generic_tdp", "_mode", "_tdp", "_intel_interface"},
    "rapl": {"_lin_rapl_dir", "_mirrored_candidates", "_rapl_files"},
    "file": set(),
    "tdp": {"_get_cpu_power_from_registry"},
    "gpu": {
        "_gpu_name",
        "_has_counter",
        "_power_limit",
        "_read_power_watts",
        "_reports_zero_power_by_design",
        "_use_power_fallback",
    },
}
UNDOCUMENTED = {
    "tracker": {"start", "stop"},
    "cpu": set(),
    "rapl": set(),
    "file": {
        "energy_delta",
        "last_energy",
        "max_energy_reading",
        "name",
        "path",
        "sample_skipped",
    },
    "tdp": {"model"},
    "gpu": {"energy_delta", "gpu_index", "last_energy"},
}


def _device():
    """A GPU of codecarbon's without a driver behind it: no counter, 40 of 300 W."""
    from codecarbon.core.gpu_device import GPUDevice

    class Device(GPUDevice):
        def _get_gpu_name(self):
            return "a name"

        def _get_uuid(self):
            return "GPU-0"

        def _get_power_limit(self):
            return 300.0

        def _get_memory_info(self):
            return SimpleNamespace(total=1)

        def _get_total_energy_consumption(self):
            return None

        def _get_power_usage(self):
            return 40.0

    return Device(handle=None, gpu_index=0)


@pytest.fixture(scope="module")
def owners(meter, tmp_path_factory):
    """An object of codecarbon of every kind whose insides the meter uses."""
    from codecarbon.core import cpu
    from codecarbon.core.hardware_cache import get_cached_tdp
    from codecarbon.external.hardware import CPU

    package = tmp_path_factory.mktemp("powercap") / "intel-rapl:0"
    package.mkdir()
    for name, text in {"name": "package-0", "energy_uj": "7", "max_energy_range_uj": "9e6"}.items():
        (package / name).write_text(text)
    given = {"output_dir": "", "model": "a name", "tdp": 1}
    interface = CPU(mode="intel_rapl", rapl_dir=str(package.parent), **given)._intel_interface
    by_load = CPU(mode="cpu_load", **given)
    by_load._intel_interface = interface  # where it reads RAPL alone
    return {
        "tracker": meter._tracker,
        "cpu": by_load,
        "rapl": interface,
        "file": interface._rapl_files[0],
        "tdp": get_cached_tdp(cpu),
        "gpu": _device(),
    }


@pytest.mark.parametrize("owner", PRIVATE)
def test_the_pinned_version_has_every_name_that_is_used(owners, owner):
    for name in PRIVATE[owner] | UNDOCUMENTED[owner]:
        assert hasattr(owners[owner], name), name


def test_the_version_is_the_pinned_one(meter):
    assert meter.facts.codecarbon == "3.3.2"


def test_no_private_name_is_used_that_is_not_held_here():
    used = {
        node.attr
        for source in (module, rapl, sensors)
        for node in ast.walk(ast.parse(inspect.getsource(source)))
        if isinstance(node, ast.Attribute) and re.match("_[a-z]", node.attr)
        if not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }
    assert used == set().union(*PRIVATE.values())


def test_what_the_names_mean(meter, owners):
    from codecarbon.core.cpu import TDP
    from codecarbon.core.units import Energy
    from codecarbon.external.hardware import CPU, GPU
    from codecarbon.external.ram import RAM

    assert Energy(1.0).kWh == 1.0
    assert meter._tracker._conf["cpu_physical_count"] >= 1
    assert {type(item) for item in meter._tracker._hardware} <= {CPU, GPU, RAM}
    assert isinstance(owners["tdp"], TDP)
    assert owners["tdp"]._get_cpu_power_from_registry("AMD EPYC 7B12") == 240.0
    assert owners["tdp"]._get_cpu_power_from_registry("No such CPU") is None
    assert isinstance(owners["tdp"].model, str)
    generic = CPU.from_utils(output_dir="", mode="cpu_load", model="a name", tdp=None)
    assert generic._is_generic_tdp
    assert not owners["cpu"]._is_generic_tdp
    assert (owners["cpu"]._mode, owners["cpu"]._tdp) == ("cpu_load", 1)


def test_what_the_names_of_rapl_mean(owners):
    from codecarbon.core.cpu import IntelRAPL
    from codecarbon.core.units import Time

    interface, file = owners["rapl"], owners["file"]
    assert isinstance(interface, IntelRAPL)
    assert file.path == f"{interface._lin_rapl_dir}/intel-rapl:0/energy_uj"
    assert file.name == f"{rapl.COUNTED}_0(kWh)"
    assert module.joules_from_kwh(float(file.max_energy_reading)) == pytest.approx(9, rel=1e-5)
    assert interface._mirrored_candidates == {}
    before = file.energy_delta
    file.delta(Time(seconds=1.0))
    assert file.energy_delta is not before  # each measurement makes its own
    assert (float(file.energy_delta), file.sample_skipped) == (0.0, False)


def test_what_the_names_of_a_gpu_mean(owners):
    from codecarbon.core.units import Time
    from codecarbon.external.hardware import GPU

    assert isinstance(GPU(gpu_ids=None).devices.devices, list)
    device = owners["gpu"]
    assert (device.gpu_index, device._gpu_name) == (0, "a name")
    assert not device._has_counter
    assert device._read_power_watts() == 40.0
    assert not device._reports_zero_power_by_design()
    assert device._power_limit == 300
    assert device.last_energy is None
    assert device._use_power_fallback
    before = device.energy_delta
    device.delta(Time(seconds=3600.0))
    assert device.energy_delta is not before  # each measurement makes its own
    assert device.energy_delta.kWh == pytest.approx(0.04)


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
    import codecarbon
    from codecarbon.emissions_tracker import BaseEmissionsTracker

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


def test_no_outside_service_is_asked_and_no_signal_is_taken(monkeypatch):
    asked, taken = [], []
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: asked.append(host) or [])
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: asked.append(address))
    monkeypatch.setattr(signal, "signal", lambda number, _: taken.append(number))
    meter = CodecarbonMeter()
    try:
        meter.read()
    finally:
        meter.close()
    assert (asked, taken) == ([], [])
