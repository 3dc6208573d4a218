"""The energy meter: one protocol, and codecarbon read at our own boundaries behind it.

codecarbon's documented calls cannot be read at a boundary, so its private counters are: the version
is pinned, and `tests/metering/test_meter.py` holds every name of its insides that is used here.
Both of its schedulers are stopped as soon as it has started; whoever owns the meter is its only
caller, which takes away the race that counts estimated energy twice.
"""

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from app.domain.errors import MeterError
from app.domain.quantities import Frozen, joules_from_kwh
from app.domain.readings import ComponentFacts, MeterFacts, Method
from app.metering import powercap, rapl
from app.metering.sensors import Probe, Sensors, device_probe

APART_TRIES, APART_S = 4, 0.5  # starts and the pause before each, until two packages are apart
ABSENT = ComponentFacts(method=Method.ABSENT)
CPU_MODES = frozenset({"intel_rapl", "cpu_load", "constant"})  # of codecarbon, that we know


class Energies(Frozen):
    """Cumulative joules of each component since the meter started; null where it has none.

    A component is null too where one of its sensors gave no value. After a loss of joules that
    cannot be made up for, a counter begins anew, below everything that it showed before.
    """

    cpu_j: float | None
    gpu_j: float | None
    ram_j: float | None
    sensors_j: tuple[float | None, ...] = ()  # of each of the facts' sensors, in their order


class EnergyMeter(Protocol):
    """A source of cumulative joules, read by one thread at a time."""

    @property
    def facts(self) -> MeterFacts:
        """How each component is read on this host."""

    def read(self) -> Energies:
        """The counters now.

        Raises:
            MeterError: the meter gave no reading.
        """

    def close(self) -> None:
        """Give back what the meter holds."""


class CodecarbonMeter:
    """codecarbon's offline tracker in machine mode, without its timers, files and network.

    Finding the hardware takes 1.5 to 2 s at the first start in a process; a reading takes 0.2 ms.
    """

    def __init__(self) -> None:
        """Find the hardware and start the counters.

        Raises:
            MeterError: codecarbon found nothing to read (it swallows its own errors).
        """
        os.environ["CODECARBON_LOG_LEVEL"] = "ERROR"  # read at import; its loggers write to stderr
        import codecarbon

        self._began_s = time.monotonic()  # when the last measurement began
        self._tracker = _start_apart(codecarbon)
        self._cpu = _find(self._tracker, "CPU")
        self._gpu = _find(self._tracker, "GPU")
        self._ram = _find(self._tracker, "RAM")
        devices, blind = _devices(self._gpu)
        gpu = _gpu_facts(devices, blind) if self._gpu is not None else ABSENT
        cpu = _cpu_facts(self._cpu, self._tracker._conf["cpu_physical_count"])
        self._packages = Sensors(_package_probes(self._cpu, cpu))
        self._devices = Sensors(_device_probes(devices, blind, gpu))
        self._facts = MeterFacts(
            cpu=cpu,
            gpu=gpu,
            ram=_ram_facts(self._ram),
            codecarbon=codecarbon.__version__,
            sensors=self._packages.facts + self._devices.facts,
            left_out=_left_out(self._cpu),
        )

    @property
    def facts(self) -> MeterFacts:
        """How each component is read on this host."""
        return self._facts

    def read(self) -> Energies:
        """Let codecarbon integrate up to now and take its counters, in joules.

        What has sensors is added up by us: codecarbon's own sum counts 0 J for one that failed.

        Raises:
            MeterError: codecarbon could not read its hardware.
        """
        tracker, began_s = self._tracker, time.monotonic()
        try:
            if self._gpu is not None:  # for GPUs that have no energy counter
                tracker._monitor_power()
            tracker._measure_power_and_energy()
        except Exception as error:
            raise MeterError(f"codecarbon gave no reading: {error!r}") from error
        span_s, self._began_s = time.monotonic() - self._began_s, began_s
        cpu_j, packages_j = self._packages.read(span_s)
        gpu_j, devices_j = self._devices.read(span_s)
        if not packages_j:
            cpu_j = joules_from_kwh(float(tracker._total_cpu_energy.kWh))
        ram_j = joules_from_kwh(float(tracker._total_ram_energy.kWh))
        return Energies(
            cpu_j=self._joules(self._facts.cpu, cpu_j),
            gpu_j=self._joules(self._facts.gpu, gpu_j),
            ram_j=self._joules(self._facts.ram, ram_j),
            sensors_j=packages_j + devices_j,
        )

    @staticmethod
    def _joules(facts: ComponentFacts, energy_j: float | None) -> float | None:
        """Joules of a counter; null where there is no source behind its 0."""
        if facts.method in {Method.ABSENT, Method.UNAVAILABLE} or facts.source is None:
            return None
        return energy_j

    def close(self) -> None:
        """Stop the tracker; its own figures are not used."""
        self._tracker.stop()


def _start_apart(codecarbon: Any) -> Any:
    """A tracker that reads every RAPL package, as far as packages can be told from mirrors.

    Started anew while codecarbon leaves one out that counts on its own; that takes half a second
    where there are mirrors, and two seconds at most.
    """
    tracker = _start_tracker(codecarbon)
    for _ in range(APART_TRIES):
        interface = _interface(_find(tracker, "CPU"))
        if interface is None or not rapl.suspects(interface):
            break
        time.sleep(APART_S)
        tracker._measure_power_and_energy()  # decides about those that it has only suspected yet
        if not rapl.left_out(interface):
            break
        tracker.stop()
        tracker = _start_tracker(codecarbon)
    return tracker


def _start_tracker(codecarbon: Any) -> Any:
    """An offline tracker with every argument given, so that no file or variable overrides one."""
    tracker = codecarbon.OfflineEmissionsTracker(
        project_name="trainwatt",
        measure_power_secs=3600.0,
        api_call_interval=-1,
        api_endpoint="",
        api_key="",
        output_dir=tempfile.gettempdir(),
        output_file="emissions.csv",
        output_methods=[],
        logging_logger=None,
        prometheus_url="",
        output_handlers=[],
        gpu_ids=None,
        emissions_endpoint=None,
        experiment_id="",
        experiment_name="trainwatt",
        electricitymaps_api_token=None,
        tracking_mode="machine",
        log_level="error",
        on_csv_write="append",
        logger_preamble="",
        force_cpu_power=None,
        force_ram_power=None,
        pue=1.0,
        wue=0.0,
        force_carbon_intensity_g_co2e_kwh=None,
        force_mode_cpu_load=False,
        allow_multiple_runs=True,
        rapl_include_dram=False,
        rapl_prefer_psys=False,
        metadata=None,
        country_iso_code="FRA",  # never used: emissions are computed by us
        region=None,
        cloud_provider=None,
        cloud_region=None,
        country_2letter_iso_code=None,
    )
    tracker.start()
    if not getattr(tracker, "_hardware", None):
        raise MeterError("codecarbon found no hardware to read; see its log lines above")
    tracker._scheduler.stop()
    tracker._scheduler_monitor_power.stop()
    return tracker


def _find(tracker: Any, kind: str) -> Any | None:
    """The object that codecarbon made for one component, found by its class name."""
    return next((item for item in tracker._hardware if type(item).__name__ == kind), None)


def _interface(cpu: Any | None) -> Any | None:
    """What codecarbon reads RAPL with; null where it does not."""
    return cpu._intel_interface if cpu is not None and cpu._mode == "intel_rapl" else None


def _package_probes(cpu: Any | None, facts: ComponentFacts) -> tuple[Probe, ...]:
    """The RAPL packages of a CPU that is measured."""
    return rapl.packages(_interface(cpu)) if facts.method is Method.MEASURED else ()


def _left_out(cpu: Any | None) -> tuple[str, ...]:
    interface = _interface(cpu)
    return rapl.left_out(interface) if interface is not None else ()


def _cpu_facts(cpu: Any | None, sockets: int) -> ComponentFacts:
    """How the CPU is read; `sockets` is how many codecarbon counts, and bills the TDP for."""
    if cpu is None or cpu._mode not in CPU_MODES:
        reason = f"codecarbon reads this CPU as {cpu!r}, which is not supported"
        return ComponentFacts(method=Method.UNAVAILABLE, reason=reason)
    if cpu._mode != "intel_rapl" and (denied := powercap.denied()):
        return ComponentFacts(method=Method.UNAVAILABLE, reason=denied)
    if cpu._mode == "intel_rapl":
        return _rapl_facts(cpu._intel_interface)
    guessed = _tdp_guessed(cpu)
    return ComponentFacts(
        method=Method.ESTIMATED,
        source=f"codecarbon {cpu._mode}",
        tdp_w=float(cpu._tdp),
        tdp_guessed=guessed,
        sockets=None if cpu._is_generic_tdp else sockets,
    )


def _rapl_facts(interface: Any) -> ComponentFacts:
    """RAPL is a measurement where every package that the kernel shows is read."""
    source = "codecarbon intel_rapl"
    reason = powercap.missing(Path(interface._lin_rapl_dir))
    if reason is None and not rapl.packages(interface):
        reason = "the powercap tree has counters, but none of a CPU package that codecarbon reads"
    if reason is not None:
        return ComponentFacts(method=Method.UNAVAILABLE, source=source, reason=reason)
    return ComponentFacts(method=Method.MEASURED, source=source)


def _tdp_guessed(cpu: Any) -> bool:
    """Whether the TDP is codecarbon's 4 W a thread or 85 W a CPU, and not its table's entry."""
    from codecarbon.core import cpu as cpu_module
    from codecarbon.core.cpu import TDP
    from codecarbon.core.hardware_cache import get_cached_tdp

    if cpu._is_generic_tdp:
        return True
    tdp: TDP = get_cached_tdp(cpu_module)
    return tdp._get_cpu_power_from_registry(tdp.model) is None


def _devices(gpu: Any | None) -> tuple[Sequence[Any], Sequence[Any]]:
    """All GPUs, and those of them without a sensor."""
    devices = gpu.devices.devices if gpu is not None else []
    blind = [device for device in devices if not _has_sensor(device)]
    return devices, blind


def _gpu_facts(devices: Sequence[Any], blind: Sequence[Any]) -> ComponentFacts:
    """How the GPUs are read; codecarbon itself counts 0 J for one that shows no power."""
    if not devices:
        return ComponentFacts(
            method=Method.UNAVAILABLE, reason="the GPU driver answers but lists no device"
        )
    if not blind:
        return ComponentFacts(method=Method.MEASURED, source=_gpu_source(devices))
    limits_w = [device._power_limit for device in blind]
    if not all(limits_w):
        reason = f"{_names(blind)}: neither an energy counter, nor power, nor its limit is readable"
        return ComponentFacts(method=Method.UNAVAILABLE, reason=reason)
    seen = [device for device in devices if device not in blind]
    return ComponentFacts(
        method=Method.ASSUMED,
        source=_gpu_source(seen) if seen else None,
        reason=f"{_names(blind)}: neither an energy counter nor power is readable",
        tdp_w=float(sum(limits_w)),
    )


def _device_probes(
    devices: Sequence[Any], blind: Sequence[Any], facts: ComponentFacts
) -> tuple[Probe, ...]:
    """The GPUs with a sensor; of two that share one, the one that shows it."""
    if facts.method is Method.UNAVAILABLE:
        return ()
    return tuple(
        device_probe(device)
        for device in devices
        if device not in blind and not device._reports_zero_power_by_design()
    )


def _has_sensor(device: Any) -> bool:
    """Whether a device has an energy counter, or a power above the 0 W that no chip draws."""
    if device._has_counter or device._reports_zero_power_by_design():
        return True
    return bool(device._read_power_watts())


def _gpu_source(devices: Sequence[Any]) -> str:
    counters = all(device._has_counter for device in devices)
    return "codecarbon gpu energy counter" if counters else "codecarbon gpu power samples"


def _names(devices: Sequence[Any]) -> str:
    return ", ".join(f"GPU {device.gpu_index} ({device._gpu_name})" for device in devices)


def _ram_facts(ram: Any | None) -> ComponentFacts:
    if ram is None:
        return ComponentFacts(method=Method.UNAVAILABLE, reason="codecarbon lists no RAM")
    watts = float(ram.total_power().W)
    return ComponentFacts(
        method=Method.ASSUMED, source=f"codecarbon, {watts:g} W flat", constant_w=watts
    )
