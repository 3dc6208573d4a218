"""codecarbon without its memory, a still powercap tree and a simulated NVML under it, attempts."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from app.accounting.assumptions import DEFAULT
from app.accounting.components import parts
from app.domain.readings import Reading, Readings
from app.metering.host import host_facts
from app.metering.meter import CodecarbonMeter

POWERCAP = "/sys/class/powercap/intel-rapl/subsystem"  # where codecarbon looks


@pytest.fixture
def codecarbon(monkeypatch):
    """codecarbon without what it remembers of the hardware, before and after."""
    from codecarbon.core import cpu, gpu, hardware_cache
    from codecarbon.external import hardware

    hardware_cache.clear_cache()
    yield SimpleNamespace(cpu=cpu, gpu=gpu, hardware=hardware, patch=monkeypatch.setattr)
    monkeypatch.undo()
    hardware_cache.clear_cache()


class Powercap:
    """A powercap tree whose counters stand still until they are told to draw."""

    def __init__(self, root):
        self.root = root
        self.shown_uj = []

    def folder(self, number):
        return self.root / f"intel-rapl:{number}"

    def add(self, shown_uj, *, name=None, range_uj=262_143_328_850):
        number = len(self.shown_uj)
        self.shown_uj.append(shown_uj)
        self.folder(number).mkdir(parents=True)
        (self.folder(number) / "name").write_text(f"{name or f'package-{number}'}\n")
        if range_uj is not None:
            (self.folder(number) / "max_energy_range_uj").write_text(f"{range_uj}\n")
        self.show(number, shown_uj)

    def show(self, number, shown_uj):
        self.shown_uj[number] = shown_uj
        if not (self.folder(number) / "energy_uj").is_dir():
            (self.folder(number) / "next").write_text(f"{shown_uj}\n")
            (self.folder(number) / "next").rename(self.folder(number) / "energy_uj")

    def draw(self, number, joules):
        self.show(number, self.shown_uj[number] + joules * 1_000_000)

    def take_away(self, number):
        """A folder in the place of the counter: nobody can read it, not even root."""
        (self.folder(number) / "energy_uj").unlink(missing_ok=True)
        (self.folder(number) / "energy_uj").mkdir()

    def give_back(self, number):
        (self.folder(number) / "energy_uj").rmdir()
        self.show(number, self.shown_uj[number])


@pytest.fixture
def powercap(codecarbon, tmp_path):
    """An empty tree where codecarbon looks for one."""
    root = tmp_path / "intel-rapl"
    root.mkdir()
    start = codecarbon.hardware.CPU.__init__
    assert POWERCAP in start.__defaults__
    defaults = tuple(str(root) if d == POWERCAP else d for d in start.__defaults__)
    codecarbon.patch(start, "__defaults__", defaults)
    codecarbon.patch(codecarbon.cpu, "is_rapl_available", lambda *_: True)
    return Powercap(root)


class NVMLError(Exception):
    """As pynvml's: a device has no such sensor."""


def _nvml(devices):
    """As much of pynvml as anybody asks; a device is a dict of the sensors that it has."""

    def of(handle, name):
        if devices[handle].get(name) is None:
            raise NVMLError("Not Supported")
        return devices[handle][name]

    def energy_mj(handle):
        if devices[handle].get("raises"):
            raise RuntimeError("no error of the driver's")
        return of(handle, "counter").shown_uj // 1000

    return SimpleNamespace(
        NVMLError=NVMLError,
        NVMLError_NotSupported=NVMLError,
        NVML_TEMPERATURE_GPU=0,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: len(devices),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetTotalEnergyConsumption=energy_mj,
        nvmlDeviceGetPowerUsage=lambda handle: of(handle, "power_w") * 1000,
        nvmlDeviceGetEnforcedPowerLimit=lambda handle: of(handle, "limit_w") * 1000,
        nvmlDeviceGetName=lambda handle: f"Simulated {handle}",
        nvmlDeviceGetUUID=lambda handle: f"GPU-{handle}",
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=1, free=1, used=0),
        nvmlDeviceGetUtilizationRates=lambda handle: SimpleNamespace(
            gpu=of(handle, "utilization") if "utilization" in devices[handle] else 50
        ),
        nvmlDeviceGetTemperature=lambda handle, _: of(handle, "temperature"),
    )


@pytest.fixture
def simulated_nvml():
    """Makes a simulated pynvml of devices."""
    return lambda *devices: _nvml(devices)


@pytest.fixture
def nvml(codecarbon):
    """Puts devices under codecarbon."""
    from codecarbon.core import gpu_nvidia

    def install(*devices):
        codecarbon.patch(gpu_nvidia, "pynvml", _nvml(devices))
        codecarbon.patch(codecarbon.gpu, "PYNVML_AVAILABLE", True)
        codecarbon.patch(codecarbon.gpu, "AMDSMI_AVAILABLE", False)
        codecarbon.patch(codecarbon.gpu, "is_nvidia_system", lambda: True)

    return install


@pytest.fixture
def meter_of():
    """Makes meters and closes them."""
    made = []

    def make():
        made.append(CodecarbonMeter())
        return made[-1]

    yield make
    for meter in made:
        meter.close()


@pytest.fixture
def attempt_of():
    """Reads a meter at the start and after each of what happens, as seconds of an attempt.

    What comes back are its readings, and the CPU and the GPU as the accounting judges them.
    """

    def run(meter, happens):
        seen = [meter.read()]
        for happen in happens:
            happen()
            seen.append(meter.read())
        readings = Readings(
            attempt=1,
            started_at=datetime.now(UTC),
            host=host_facts("here"),
            meter=meter.facts,
            readings=tuple(Reading(t_s=t, **dict(energies)) for t, energies in enumerate(seen)),
        )
        judged = parts(readings, DEFAULT)
        return SimpleNamespace(readings=readings.readings, cpu=judged.cpu, gpu=judged.gpu)

    return run
