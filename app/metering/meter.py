"""The energy meter: one protocol, and codecarbon read at our own boundaries behind it.

codecarbon's documented calls cannot be read at a boundary, so its private counters are: the version
is pinned, and `tests/metering/test_meter.py` holds every private name that is used here. Both of
its schedulers are stopped as soon as it has started; whoever owns the meter is its only caller,
which takes away the race that counts estimated energy twice.
"""

import os
import tempfile
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
            cpu=_cpu_facts(self._cpu),
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
        if facts.method in {Method.ABSENT, Method.UNAVAILABLE}:
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


def _cpu_facts(cpu: Any | None) -> ComponentFacts:
    if cpu is None or cpu._mode not in CPU_MODES:
        reason = f"codecarbon reads this CPU as {cpu!r}, which is not supported"
        return ComponentFacts(method=Method.UNAVAILABLE, reason=reason)
    if cpu._mode != "intel_rapl" and (denied := powercap.denied()):
        return ComponentFacts(method=Method.UNAVAILABLE, reason=denied)
    if cpu._mode == "intel_rapl":
        return ComponentFacts(method=Method.MEASURED, source="codecarbon intel_rapl")
    return ComponentFacts(
        method=Method.ESTIMATED,
        source=f"codecarbon {cpu._mode}",
        tdp_w=float(cpu._tdp),
        tdp_guessed=_tdp_guessed(cpu),
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
    if gpu is None:
        return ComponentFacts(method=Method.ABSENT)
    if not gpu.devices.devices:
        return ComponentFacts(
            method=Method.UNAVAILABLE, reason="the GPU driver answers but lists no device"
        )
    counters = all(device._has_counter for device in gpu.devices.devices)
    source = "codecarbon gpu energy counter" if counters else "codecarbon gpu power samples"
    return ComponentFacts(method=Method.MEASURED, source=source)


def _ram_facts(ram: Any | None) -> ComponentFacts:
    if ram is None:
        return ComponentFacts(method=Method.UNAVAILABLE, reason="codecarbon lists no RAM")
    watts = float(ram.total_power().W)
    return ComponentFacts(
        method=Method.ASSUMED, source=f"codecarbon, {watts:g} W flat", constant_w=watts
    )
