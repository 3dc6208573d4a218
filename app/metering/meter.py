"""The energy meter: one protocol, and codecarbon read at our own boundaries behind it.

codecarbon's documented calls cannot be read at a boundary, so its private counters are: the version
is pinned, and `tests/metering/test_meter.py` holds every name of its insides that is used here.
Both of its schedulers are stopped as soon as it has started; whoever owns the meter is its only
caller, which takes away the race that counts estimated energy twice.
"""

import os
import tempfile
from collections.abc import Sequence
from typing import Any, Protocol

from app.domain.errors import MeterError
from app.domain.quantities import Frozen, joules_from_kwh
from app.domain.readings import ComponentFacts, MeterFacts, Method
from app.metering import powercap

CPU_MODES = frozenset({"intel_rapl", "cpu_load", "constant"})  # of codecarbon, that we know


class Energies(Frozen):
    """Cumulative joules of each component since the meter started; null where it has none."""

    cpu_j: float | None
    gpu_j: float | None
    ram_j: float | None


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

        self._tracker = _start_tracker(codecarbon)
        self._cpu = _find(self._tracker, "CPU")
        self._gpu = _find(self._tracker, "GPU")
        self._ram = _find(self._tracker, "RAM")
        self._facts = MeterFacts(
            cpu=_cpu_facts(self._cpu, self._tracker._conf["cpu_physical_count"]),
            gpu=_gpu_facts(self._gpu),
            ram=_ram_facts(self._ram),
            codecarbon=codecarbon.__version__,
        )

    @property
    def facts(self) -> MeterFacts:
        """How each component is read on this host."""
        return self._facts

    def read(self) -> Energies:
        """Let codecarbon integrate up to now and take its counters, in joules.

        Raises:
            MeterError: codecarbon could not read its hardware.
        """
        tracker = self._tracker
        try:
            if self._gpu is not None:  # for GPUs that have no energy counter
                tracker._monitor_power()
            tracker._measure_power_and_energy()
        except Exception as error:
            raise MeterError(f"codecarbon gave no reading: {error!r}") from error
        return Energies(
            cpu_j=self._joules(self._facts.cpu, tracker._total_cpu_energy),
            gpu_j=self._joules(self._facts.gpu, tracker._total_gpu_energy),
            ram_j=self._joules(self._facts.ram, tracker._total_ram_energy),
        )

    @staticmethod
    def _joules(facts: ComponentFacts, energy: Any) -> float | None:
        """Joules of a counter; null where there is no source behind its 0."""
        if facts.method in {Method.ABSENT, Method.UNAVAILABLE} or facts.source is None:
            return None
        return joules_from_kwh(float(energy.kWh))

    def close(self) -> None:
        """Stop the tracker; its own figures are not used."""
        self._tracker.stop()


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


def _cpu_facts(cpu: Any | None, sockets: int) -> ComponentFacts:
    """How the CPU is read; `sockets` is how many codecarbon counts, and bills the TDP for."""
    if cpu is None or cpu._mode not in CPU_MODES:
        reason = f"codecarbon reads this CPU as {cpu!r}, which is not supported"
        return ComponentFacts(method=Method.UNAVAILABLE, reason=reason)
    if cpu._mode != "intel_rapl" and (denied := powercap.denied()):
        return ComponentFacts(method=Method.UNAVAILABLE, reason=denied)
    if cpu._mode == "intel_rapl":
        return ComponentFacts(method=Method.MEASURED, source="codecarbon intel_rapl")
    guessed = _tdp_guessed(cpu)
    return ComponentFacts(
        method=Method.ESTIMATED,
        source=f"codecarbon {cpu._mode}",
        tdp_w=float(cpu._tdp),
        tdp_guessed=guessed,
        sockets=sockets if guessed and not cpu._is_generic_tdp else None,
    )


def _tdp_guessed(cpu: Any) -> bool:
    """Whether the TDP is codecarbon's 4 W a thread or 85 W a CPU, and not its table's entry."""
    from codecarbon.core import cpu as cpu_module
    from codecarbon.core.cpu import TDP
    from codecarbon.core.hardware_cache import get_cached_tdp

    if cpu._is_generic_tdp:
        return True
    tdp: TDP = get_cached_tdp(cpu_module)
    return tdp._get_cpu_power_from_registry(tdp.model) is None


def _gpu_facts(gpu: Any | None) -> ComponentFacts:
    """How the GPUs are read; codecarbon itself counts 0 J for one that shows no power."""
    if gpu is None:
        return ComponentFacts(method=Method.ABSENT)
    devices = gpu.devices.devices
    if not devices:
        return ComponentFacts(
            method=Method.UNAVAILABLE, reason="the GPU driver answers but lists no device"
        )
    blind = [device for device in devices if not _has_sensor(device)]
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
