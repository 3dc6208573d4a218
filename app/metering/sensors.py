"""Every hardware counter that codecarbon reads, on its own: cumulative joules that hide no loss."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from app.domain.quantities import joules_from_kwh
from app.domain.readings import Sensor

RESTART_J = 1.0  # how far below everything before a counter begins anew after a loss
# What no sensor draws: a counter that gained more than this since it was read last was set, or
# taken for one that went round. Four times the largest rated power of a socket (500 W: Xeon 6980P
# and EPYC 9965, 2024), and over twice that of a GPU (1,400 W: B300 and MI355X, 2025), so that
# peaks, which last for milliseconds, stay below it.
PACKAGE_MOST_W, GPU_MOST_W = 2000.0, 3000.0
# By how much a counter may be behind: NVML's counts every 0.1 s, RAPL's every 1 ms, and that of a
# virtual machine about as often as its host asks.
LATE_S = 1.0


class Step(NamedTuple):
    """What a sensor told at one reading.

    Attributes:
        gained_j: joules since the reading before, as far as it told.
        known: whether it gave a value now.
        lost: whether joules before now are missing for good.
    """

    gained_j: float
    known: bool
    lost: bool


class Probe(Protocol):
    """A sensor as codecarbon holds it, looked at right after each of its measurements."""

    @property
    def sensor(self) -> Sensor:
        """What it is called, and where its counter ends."""

    def step(self, span_s: float, /) -> Step:
        """What the last measurement told; it and the one before lie at most so far apart."""


class Cumulative:
    """Joules that add up; after a loss they begin anew, below everything that was shown.

    Whoever takes differences sees a step back then, and not a figure that is too small.
    """

    def __init__(self) -> None:
        """Begin at 0 J."""
        self._joules = self._floor_j = 0.0
        self._lost = False

    def add(self, steps: Sequence[Step]) -> float | None:
        """The joules after these steps of one reading; null where one of them is not known."""
        self._joules += sum(step.gained_j for step in steps)
        self._lost = self._lost or any(step.lost for step in steps)
        if not all(step.known for step in steps):
            return None
        if self._lost:
            self._floor_j -= RESTART_J
            self._joules, self._lost = self._floor_j, False
        return self._joules


class Sensors:
    """The sensors of one component and their sum."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        """Begin every counter at 0 J."""
        self._probes = tuple(probes)
        self._each = tuple(Cumulative() for _ in self._probes)
        self._sum = Cumulative()

    @property
    def facts(self) -> tuple[Sensor, ...]:
        """The sensors, in the order of their joules."""
        return tuple(probe.sensor for probe in self._probes)

    def read(self, span_s: float) -> tuple[float | None, tuple[float | None, ...]]:
        """Joules of all together and of each: null where a sensor (of them) gave no value.

        Args:
            span_s: from the begin of the measurement before to the end of the last one.
        """
        steps = [probe.step(span_s) for probe in self._probes]
        each = tuple(c.add([step]) for c, step in zip(self._each, steps, strict=True))
        return self._sum.add(steps), each


def step_of(joules: float, most_w: float, span_s: float) -> Step:
    """A step of a counter; back, or further than any sensor's, is a jump, which counts nothing.

    Args:
        joules: by which it moved.
        most_w: what no sensor of its kind draws.
        span_s: for how long it moved, at most.
    """
    if not 0 <= joules <= most_w * (span_s + LATE_S):
        return Step(0.0, known=True, lost=True)
    return Step(joules, known=True, lost=False)


class Package:
    """A RAPL package: its file counts microjoules up to a range, and then from 0."""

    def __init__(self, file: Any, name: str) -> None:
        """Begin at the file's last measurement.

        Args:
            file: codecarbon's RAPLFile.
            name: as the kernel calls it.
        """
        self._file, self._seen = file, file.energy_delta
        range_j = joules_from_kwh(float(file.max_energy_reading))
        self.sensor = Sensor(name=name, component="cpu", range_j=range_j or None)

    def step(self, span_s: float) -> Step:
        """What the last measurement told.

        codecarbon counts 0 J where the file gave nothing, and where it went back in a way that is
        no wrap; it begins anew with the next value that it gets, and what lies between is lost.
        Every other fall is a wrap to it, also that of a counter which was reset (a module that is
        loaded again, a sleep): it counts up to a whole range then, which no package can have drawn.
        """
        file = self._file
        measured = file.energy_delta is not self._seen  # a file that it has dropped keeps its last
        self._seen = file.energy_delta
        if not measured or file.sample_skipped:
            return Step(0.0, known=measured and file.last_energy is not None, lost=True)
        return step_of(joules_from_kwh(float(file.energy_delta)), PACKAGE_MOST_W, span_s)


class CounterDevice:
    """A GPU with an energy counter.

    Where that gives nothing codecarbon goes on with samples of power, and corrects itself when it
    is back, in a later run perhaps. The counter alone is taken here: nothing is lost by an outage.
    """

    def __init__(self, device: Any) -> None:
        """Begin at the device's last measurement, of codecarbon's GPUDevice."""
        self._device, self._seen = device, device.energy_delta
        self._counter_kwh = _kwh(device.last_energy)
        self._span_s = 0.0  # since the counter gave a value
        self.sensor = Sensor(name=f"GPU {device.gpu_index}", component="gpu")

    def step(self, span_s: float) -> Step:
        """What the last measurement told.

        A counter that went back was set: it gave a value, though codecarbon takes power for it.
        """
        device, before_kwh = self._device, self._counter_kwh
        measured = device.energy_delta is not self._seen
        self._seen, self._counter_kwh = device.energy_delta, _kwh(device.last_energy)
        known = measured and not device._use_power_fallback
        if before_kwh is None or self._counter_kwh is None:
            return Step(0.0, known=known, lost=True)
        moved_j = joules_from_kwh(self._counter_kwh - before_kwh)
        since_s = self._span_s + span_s
        if not known and moved_j == 0:
            self._span_s = since_s
            return Step(0.0, known=False, lost=False)
        self._span_s = 0.0
        return step_of(moved_j, GPU_MOST_W, since_s)


class PowerDevice:
    """A GPU that shows its power alone; codecarbon counts 0 J where it shows none."""

    def __init__(self, device: Any) -> None:
        """Begin at the device's last measurement, of codecarbon's GPUDevice."""
        self._device, self._seen = device, device.energy_delta
        self.sensor = Sensor(name=f"GPU {device.gpu_index}", component="gpu")

    def step(self, _: float) -> Step:
        """What the last measurement told: 0 W is no power of a chip that runs."""
        device = self._device
        measured = device.energy_delta is not self._seen
        self._seen = device.energy_delta
        gained_j = joules_from_kwh(float(self._seen)) if measured else 0.0
        known = measured and (gained_j > 0 or not device._use_power_fallback)
        return Step(gained_j, known=known, lost=not known)


def _kwh(energy: Any | None) -> float | None:
    return None if energy is None else float(energy)


def device_probe(device: Any) -> Probe:
    """The probe for a GPU of codecarbon's, by what it has."""
    return CounterDevice(device) if device._has_counter else PowerDevice(device)
