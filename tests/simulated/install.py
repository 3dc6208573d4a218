"""Puts the simulated sensors under the real codecarbon, in the process that calls this.

Nothing of the product and nothing of codecarbon's arithmetic is replaced. Seen from there the host
has a powercap tree and an NVIDIA driver: opening a package's `energy_uj` gives its counter at that
very moment, for whoever opens it, and `pynvml` answers for the GPUs.
"""

import builtins
import errno
import io
import os
import sys
import types
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.simulated.sensors import Shown


def install(folder: Path) -> Shown:
    """Before the first look at any hardware; for the rest of the process's life."""
    if "pynvml" in sys.modules:
        raise RuntimeError("expected that nothing has looked for a GPU yet")
    shown = Shown(folder)
    sys.modules["pynvml"] = _pynvml(shown)
    _powercap(shown, folder / "powercap")
    from codecarbon.core import gpu, gpu_nvidia

    for module in (gpu, gpu_nvidia):
        module.is_nvidia_system = lambda: bool(shown.numbered("gpu", "gpu_power"))
    return shown


def _powercap(shown: Shown, tree: Path) -> None:
    """The tree in the place of the kernel's, for codecarbon and for our own search."""
    files = {
        str(tree / f"intel-rapl:{package}" / "energy_uj"): number
        for package, number in enumerate(shown.numbered("rapl"))
    }
    _open_as(shown, files)
    from codecarbon.core import cpu
    from codecarbon.external import hardware

    from app.metering import powercap

    start, found = hardware.CPU.__init__, cpu.is_rapl_available
    default = "/sys/class/powercap/intel-rapl/subsystem"
    start.__defaults__ = tuple(str(tree) if d == default else d for d in start.__defaults__)
    cpu.is_rapl_available = lambda rapl_dir=None: found(rapl_dir or str(tree))
    _move(powercap, powercap.POWERCAP, tree)


def _move(module: types.ModuleType, old: Path, new: Path) -> None:
    """A module's path, also where it is a parameter's default."""
    for name, value in list(vars(module).items()):
        if value == old:
            setattr(module, name, new)
        defaults = getattr(value, "__defaults__", None)
        if isinstance(value, types.FunctionType) and defaults:
            value.__defaults__ = tuple(new if d == old else d for d in defaults)


def _open_as(shown: Shown, files: dict[str, int]) -> None:
    """Opening one of the files gives a sensor's counter, or what the kernel says without the right.

    By hand, because the tests run as root, to whom no file mode says no.
    """
    real_open, real_access = io.open, os.access

    def open_(file: Any, *rest: Any, **more: Any) -> Any:
        number = files.get(os.fspath(file)) if isinstance(file, str | os.PathLike) else None
        if number is None:
            return real_open(file, *rest, **more)
        value_uj = shown.counter_uj(number)
        if value_uj is None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(file))
        return io.StringIO(f"{value_uj}\n")

    def access(path: Any, *rest: Any, **more: Any) -> bool:
        number = files.get(os.fspath(path)) if isinstance(path, str | os.PathLike) else None
        if number is not None and shown.counter_uj(number) is None:
            return False
        return real_access(path, *rest, **more)

    builtins.open = open_
    io.open = open_  # of pathlib
    os.access = access


class NVMLError(Exception):
    """As pynvml's: a device does not answer, or has no such sensor."""


def _pynvml(shown: Shown) -> Any:
    """As much of pynvml as anybody asks; without a GPU its start fails, as without a driver."""
    numbers = shown.numbered("gpu", "gpu_power")

    def start() -> None:
        if not numbers:
            raise NVMLError("Driver Not Loaded")

    def known(value: float | None) -> float:
        if value is None:
            raise NVMLError("GPU is lost")
        return value

    def energy_mj(handle: int) -> int:
        if shown.all()[numbers[handle]].kind == "gpu_power":
            raise NVMLError("Not Supported")
        return int(known(shown.counter_uj(numbers[handle]))) // 1000

    def alive(handle: int, value: Any) -> Any:
        known(shown.power_w(numbers[handle]))
        return value

    return SimpleNamespace(
        NVMLError=NVMLError,
        NVMLError_NotSupported=NVMLError,
        NVML_TEMPERATURE_GPU=0,
        nvmlInit=start,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: len(numbers),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetTotalEnergyConsumption=energy_mj,
        nvmlDeviceGetPowerUsage=lambda h: round(known(shown.power_w(numbers[h])) * 1000),
        nvmlDeviceGetEnforcedPowerLimit=lambda h: 300_000,
        nvmlDeviceGetName=lambda h: f"Simulated {h}",
        nvmlDeviceGetUUID=lambda h: f"GPU-{h}",
        nvmlDeviceGetMemoryInfo=lambda h: SimpleNamespace(total=1, free=1, used=0),
        nvmlDeviceGetUtilizationRates=lambda h: alive(h, SimpleNamespace(gpu=50, memory=10)),
        nvmlDeviceGetTemperature=lambda h, _: alive(h, 40),
    )
