"""codecarbon on a simulated RAPL tree and a simulated NVML: joules, sources, and blind devices."""

import threading
import time
from types import SimpleNamespace

import pytest

from app.domain.readings import Method
from app.metering.meter import CodecarbonMeter

STEP_S = 0.002
TOLERANCE = 0.005  # of the truth, from 0.3 s up
RANGE_UJ = 262_143_328_850  # as Intel's counters: they wrap there


class Counter:
    """Microjoules of one device at constant power, from a start value."""

    def __init__(self, watts, start_uj):
        self.watts, self.start_uj, self.drawn_j = watts, start_uj, 0.0

    @property
    def shown_uj(self):
        return int(self.start_uj + self.drawn_j * 1e6)


class Clock:
    """Advances counters in fine steps from a thread, and shows them to whoever has files of them.

    The truth is what the counters have drawn, so that a thread that is late changes nothing.
    """

    def __init__(self, counters, publish=lambda: None):
        self.counters, self._publish = counters, publish
        self._ends = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._publish()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ends.set()
        self._thread.join()

    def _run(self):
        last_s = time.perf_counter()
        while not self._ends.wait(STEP_S):
            now_s = time.perf_counter()
            with self._lock:
                for counter in self.counters:
                    counter.drawn_j += counter.watts * (now_s - last_s)
                self._publish()
            last_s = now_s

    def drawn_j(self):
        with self._lock:
            return sum(counter.drawn_j for counter in self.counters)


class Window:
    """What a meter counted, between the least and the most that was drawn meanwhile."""

    def __init__(self, first, last):
        (self.before_first, self.first, self.after_first) = first
        (self.before_last, self.last, self.after_last) = last

    def holds(self, component):
        joules = getattr(self.last, component) - getattr(self.first, component)
        least = (self.before_last - self.after_first) * (1 - TOLERANCE)
        most = (self.after_last - self.before_first) * (1 + TOLERANCE)
        assert 0 < least <= joules <= most


def _looks(meter, truth_j, pauses_s):
    """Readings with the truth right before and after each."""
    found = [(truth_j(), meter.read(), truth_j())]
    for pause_s in pauses_s:
        time.sleep(pause_s)
        found.append((truth_j(), meter.read(), truth_j()))
    return found


@pytest.fixture
def codecarbon(monkeypatch):
    """codecarbon without what it remembers of the hardware, before and after."""
    from codecarbon.core import cpu, gpu, hardware_cache
    from codecarbon.external import hardware

    hardware_cache.clear_cache()
    yield SimpleNamespace(cpu=cpu, gpu=gpu, hardware=hardware, patch=monkeypatch.setattr)
    monkeypatch.undo()
    hardware_cache.clear_cache()


@pytest.fixture
def rapl(codecarbon, tmp_path):
    """Two sockets of 60 and 35 W in a powercap tree; the second wraps in the first second."""
    root = tmp_path / "intel-rapl"
    sockets = [Counter(60, 5_000_000), Counter(35, RANGE_UJ - 20_000_000)]

    def publish():
        for number, socket in enumerate(sockets):
            folder = root / f"intel-rapl:{number}"
            (folder / "next").write_text(f"{socket.shown_uj % RANGE_UJ}\n")
            (folder / "next").rename(folder / "energy_uj")

    for number in range(len(sockets)):
        folder = root / f"intel-rapl:{number}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"package-{number}\n")
        (folder / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    start = codecarbon.hardware.CPU.__init__
    default = "/sys/class/powercap/intel-rapl/subsystem"
    assert default in start.__defaults__
    codecarbon.patch(
        start, "__defaults__", tuple(str(root) if d == default else d for d in start.__defaults__)
    )
    codecarbon.patch(codecarbon.cpu, "is_rapl_available", lambda *_: True)
    with Clock(sockets, publish) as clock:
        yield clock


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


def test_two_rapl_sockets_are_read_within_half_a_percent(rapl, meter_of):
    meter = meter_of()
    assert (meter.facts.cpu.method, meter.facts.cpu.source) == (
        Method.MEASURED,
        "codecarbon intel_rapl",
    )
    assert meter.facts.cpu.tdp_w is None
    looks = _looks(meter, rapl.drawn_j, [0.3, 0.3, 3.0])
    for first, last in zip(looks, looks[1:], strict=False):
        Window(first, last).holds("cpu_j")
    Window(looks[0], looks[-1]).holds("cpu_j")
    assert rapl.counters[1].shown_uj > RANGE_UJ  # it did wrap on the way


class NVMLError(Exception):
    """As pynvml's: a device has no such sensor."""


def _nvml(devices):
    """As much of pynvml as codecarbon asks; a device is a dict of the sensors that it has."""

    def of(handle, name):
        if devices[handle].get(name) is None:
            raise NVMLError("Not Supported")
        return devices[handle][name]

    return SimpleNamespace(
        NVMLError=NVMLError,
        NVMLError_NotSupported=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: len(devices),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: of(handle, "counter").shown_uj // 1000,
        nvmlDeviceGetPowerUsage=lambda handle: of(handle, "power_w") * 1000,
        nvmlDeviceGetEnforcedPowerLimit=lambda handle: of(handle, "limit_w") * 1000,
        nvmlDeviceGetName=lambda handle: f"Simulated {handle}",
        nvmlDeviceGetUUID=lambda handle: f"GPU-{handle}",
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=1, free=1, used=0),
        nvmlDeviceGetUtilizationRates=lambda handle: SimpleNamespace(gpu=50),
    )


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


def test_a_gpu_with_a_counter(nvml, meter_of):
    counter = Counter(120, 9_000_000)
    nvml({"counter": counter, "power_w": 500, "limit_w": 700})
    with Clock([counter]) as clock:
        meter = meter_of()
        assert (meter.facts.gpu.method, meter.facts.gpu.source) == (
            Method.MEASURED,
            "codecarbon gpu energy counter",
        )
        looks = _looks(meter, clock.drawn_j, [0.3, 1.0])
    for first, last in zip(looks, looks[1:], strict=False):
        Window(first, last).holds("gpu_j")


def test_a_gpu_with_power_alone(nvml, meter_of):
    nvml({"power_w": 40, "limit_w": 70})
    meter = meter_of()
    assert (meter.facts.gpu.method, meter.facts.gpu.source) == (
        Method.MEASURED,
        "codecarbon gpu power samples",
    )
    looks = _looks(meter, lambda: 40 * time.perf_counter(), [0.3, 0.5])
    for first, last in zip(looks, looks[1:], strict=False):
        Window(first, last).holds("gpu_j")


def test_a_counter_beside_power_alone_adds_up(nvml, meter_of):
    counter = Counter(120, 9_000_000)
    nvml({"counter": counter}, {"power_w": 40})
    with Clock([counter]) as clock:
        meter = meter_of()
        assert meter.facts.gpu.source == "codecarbon gpu power samples"
        looks = _looks(meter, lambda: clock.drawn_j() + 40 * time.perf_counter(), [0.5])
    Window(*looks).holds("gpu_j")


@pytest.mark.parametrize("power_w", [None, 0])
def test_a_gpu_without_any_sensor_is_not_measured_as_nothing(nvml, meter_of, power_w):
    nvml({"power_w": power_w, "limit_w": 300})
    meter = meter_of()
    gpu = meter.facts.gpu
    assert (gpu.method, gpu.tdp_w, gpu.source) == (Method.ASSUMED, 300.0, None)
    assert "GPU 0 (Simulated 0): neither an energy counter nor power" in gpu.reason
    assert meter.read().gpu_j is None


def test_a_gpu_without_sensor_and_limit_is_unavailable(nvml, meter_of):
    nvml({"limit_w": 300}, {})
    meter = meter_of()
    assert meter.facts.gpu.method is Method.UNAVAILABLE
    assert "GPU 1 (Simulated 1)" in meter.facts.gpu.reason
    assert meter.read().gpu_j is None


def test_a_gpu_without_sensor_beside_one_with_a_counter(nvml, meter_of):
    counter = Counter(120, 9_000_000)
    nvml({"counter": counter, "limit_w": 700}, {"limit_w": 300})
    with Clock([counter]) as clock:
        meter = meter_of()
        gpu = meter.facts.gpu
        assert (gpu.method, gpu.tdp_w) == (Method.ASSUMED, 300.0)
        assert gpu.source == "codecarbon gpu energy counter"
        looks = _looks(meter, clock.drawn_j, [0.3])
    Window(*looks).holds("gpu_j")


def test_a_driver_without_devices_is_unavailable(nvml, meter_of):
    nvml()
    assert meter_of().facts.gpu.method is Method.UNAVAILABLE


@pytest.fixture
def unknown_cpu(codecarbon):
    """A CPU that codecarbon's table does not have, in a machine that shows so many sockets."""
    from codecarbon import emissions_tracker

    def install(sockets, model="No such CPU"):
        codecarbon.patch(codecarbon.cpu, "is_rapl_available", lambda *_: False)
        codecarbon.patch(codecarbon.cpu, "detect_cpu_model", lambda: model)
        codecarbon.patch(codecarbon.cpu, "count_cpus", lambda: 16)
        codecarbon.patch(emissions_tracker, "count_physical_cpus", lambda: sockets)
        codecarbon.patch("app.metering.powercap.denied", lambda: None)

    return install


def test_a_guess_says_for_how_many_sockets_it_was_billed(unknown_cpu, meter_of):
    unknown_cpu(16)
    cpu = meter_of().facts.cpu
    assert (cpu.tdp_w, cpu.tdp_guessed, cpu.sockets) == (4.0 * 16 * 16, True, 16)


def test_the_guess_of_a_whole_cpu_is_not_multiplied(unknown_cpu, meter_of):
    unknown_cpu(16, model=None)
    cpu = meter_of().facts.cpu
    assert (cpu.tdp_w, cpu.tdp_guessed, cpu.sockets) == (85.0, True, None)


def test_a_tdp_of_the_table_has_no_guess_to_correct(unknown_cpu, meter_of):
    unknown_cpu(2, model="AMD EPYC 7B12")
    cpu = meter_of().facts.cpu
    assert (cpu.tdp_w, cpu.tdp_guessed, cpu.sockets) == (480.0, False, None)
