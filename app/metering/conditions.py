"""Under what conditions a run takes place: memory, swap, CPU frequency, temperatures, GPU use."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from app.domain.quantities import Frozen

PROC = Path("/proc")
SYS = Path("/sys")
CPUS_READ = 8  # the frequency of more tells no more, and each is a file to read
KIB_PER_GIB = 1024**2
MIB = 1024**2
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
CPU_CHIPS = frozenset({"coretemp", "k10temp", "zenpower"})
# AMD's Tctl is what fans go by, on some chips with an offset; Tdie is the temperature itself.
AMD_LABELS = ("Tdie", "Tctl")


class Condition(Frozen):
    """The conditions at one moment; null where the host does not show one."""

    memory_used_gib: float | None = None  # of the host: what is not available to a new program
    job_memory_gib: float | None = None  # resident, of the job's process
    swapped_mib: float | None = None  # cumulative, both ways, of the host
    cpu_mhz: float | None = None  # mean of up to eight CPUs
    cpu_temperature_c: float | None = None  # of the package, the hottest of several
    gpu_temperature_c: float | None = None  # of the hottest device
    gpu_utilization: float | None = None  # from 0 to 1, mean of the devices


class Conditions:
    """Finds the files and the GPUs once, and reads them; what fails or is gone is null."""

    def __init__(self, proc: Path = PROC, sys: Path = SYS, nvml: Any | None = None) -> None:
        """Find what the host shows.

        Args:
            proc: where the kernel's process files are.
            sys: where its devices are.
            nvml: as pynvml; null for pynvml.
        """
        self._proc = proc
        self._frequencies = _cpufreq(sys, "scaling_cur_freq")
        self._temperatures = _cpu_temperatures(sys)
        self._gpus = _Gpus(nvml)

    def read(self, job: int | None) -> Condition:
        """All of them now; `job` is the process that trains, null where there is none."""
        return Condition(
            memory_used_gib=_memory_used_gib(self._proc / "meminfo"),
            job_memory_gib=None if job is None else _resident_gib(self._proc / str(job) / "statm"),
            swapped_mib=_swapped_mib(self._proc / "vmstat"),
            cpu_mhz=_mean([_number(path) for path in self._frequencies], 1e3),
            cpu_temperature_c=_highest([_number(path) for path in self._temperatures], 1e3),
            gpu_temperature_c=_highest(self._gpus.temperatures_c(), 1),
            gpu_utilization=_mean(self._gpus.utilizations_percent(), 100),
        )


def governor(sys: Path = SYS) -> str | None:
    """Of the CPUs' frequency, as "performance"; all that are in use; null where there is none."""
    texts = (_text(path) for path in _cpufreq(sys, "scaling_governor"))
    return ", ".join(sorted({text.strip() for text in texts if text})) or None


class _Gpus:
    """The NVIDIA GPUs, where there is a driver."""

    def __init__(self, nvml: Any | None) -> None:
        import pynvml

        self._nvml = nvml or pynvml
        self._handles: list[Any] = []
        try:
            self._nvml.nvmlInit()
            indices = range(self._nvml.nvmlDeviceGetCount())
            self._handles = [self._nvml.nvmlDeviceGetHandleByIndex(index) for index in indices]
        except self._nvml.NVMLError:
            return

    def temperatures_c(self) -> list[float | None]:
        nvml = self._nvml
        return self._each(lambda gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU))

    def utilizations_percent(self) -> list[float | None]:
        return self._each(lambda gpu: self._nvml.nvmlDeviceGetUtilizationRates(gpu).gpu)

    def _each(self, ask: Callable[[Any], float]) -> list[float | None]:
        """The answer of every device; null for one that has none."""
        return [self._ask(ask, handle) for handle in self._handles]

    def _ask(self, ask: Callable[[Any], float], handle: Any) -> float | None:
        try:
            return float(ask(handle))
        except self._nvml.NVMLError:
            return None


def _cpufreq(sys: Path, name: str) -> tuple[Path, ...]:
    """A file of up to eight of the CPUs that we may use, spread evenly over them."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    spread = cpus[:: -(-len(cpus) // CPUS_READ)]
    paths = (sys / f"devices/system/cpu/cpu{cpu}/cpufreq/{name}" for cpu in spread)
    return tuple(path for path in paths if path.exists())


def _cpu_temperatures(sys: Path) -> tuple[Path, ...]:
    """The package temperatures in m°C: of the chip's own driver, else of the thermal zones."""
    chips = (
        path.parent
        for path in sorted(sys.glob("class/hwmon/hwmon*/name"))
        if (_text(path) or "").strip() in CPU_CHIPS
    )
    found = [path for chip in chips for path in _package_inputs(chip)]
    return tuple(found or _package_zones(sys))


def _package_inputs(chip: Path) -> Sequence[Path]:
    """One package's temperature of an AMD chip, every package's of an Intel driver."""
    labels = {
        (_text(path) or "").strip(): path.with_name(path.name.replace("_label", "_input"))
        for path in sorted(chip.glob("temp*_label"))
    }
    intel = [path for label, path in labels.items() if label.startswith("Package id")]
    amd = [labels[label] for label in AMD_LABELS if label in labels]
    if intel or labels:
        return intel or amd[:1]
    alone = chip / "temp1_input"  # an older k10temp names none
    return [alone] if alone.exists() else []


def _package_zones(sys: Path) -> Iterator[Path]:
    for path in sorted(sys.glob("class/thermal/thermal_zone*/type")):
        if (_text(path) or "").strip() == "x86_pkg_temp":
            yield path.with_name("temp")


def _memory_used_gib(meminfo: Path) -> float | None:
    text = _text(meminfo)
    total, available = _field(text, "MemTotal:"), _field(text, "MemAvailable:")
    if total is None or available is None:
        return None
    return round((total - available) / KIB_PER_GIB, 3)


def _resident_gib(statm: Path) -> float | None:
    fields = (_text(statm) or "").split()
    return round(int(fields[1]) * PAGE_BYTES / 1024**3, 3) if len(fields) > 1 else None


def _swapped_mib(vmstat: Path) -> float | None:
    text = _text(vmstat)
    pages_in, pages_out = _field(text, "pswpin "), _field(text, "pswpout ")
    if pages_in is None or pages_out is None:
        return None
    return round((pages_in + pages_out) * PAGE_BYTES / MIB, 3)


def _field(text: str | None, name: str) -> int | None:
    """The number that follows a name in a table of the kernel's; null where there is none."""
    if text is None or (at := text.find(name)) < 0:
        return None
    return int(text[at + len(name) : at + len(name) + 32].split()[0])


def _number(path: Path) -> float | None:
    text = (_text(path) or "").strip()
    return float(text) if text.lstrip("-").isdigit() else None


def _text(path: Path) -> str | None:
    """What a file holds; null where it is gone or cannot be read now."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def _mean(values: Sequence[float | None], per: float) -> float | None:
    known = [value for value in values if value is not None]
    return round(fmean(known) / per, 3) if known else None


def _highest(values: Sequence[float | None], per: float) -> float | None:
    return max((round(value / per, 3) for value in values if value is not None), default=None)
