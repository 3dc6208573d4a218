"""A simulated powercap tree and simulated GPUs: what they show at a moment, kept in one file.

Whoever tests holds a `Sensors` and changes it: another wave, a fault. The file is replaced at once
as a whole, and the process that is shown the sensors looks at it again before each value.
"""

import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tests.simulated.traces import Trace, Wave, from_json

STATE, READS, MARKS = "state.json", "reads.txt", "marks.txt"
INTEL_RANGE_UJ = 262_143_328_850

Fault = Literal["frozen", "denied"]


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """A RAPL package or a GPU.

    Attributes:
        kind: `rapl`: a package's file; `gpu`: energy counter and power; `gpu_power`: power alone.
        trace: the power that it draws.
        start_uj: what its counter showed when the trace began.
        range_uj: where a package's counter begins anew.
        fault: what is wrong with it: it shows one value for ever, or none.
        fault_since_s: from which moment of the monotonic clock on.
    """

    kind: Literal["rapl", "gpu", "gpu_power"]
    trace: Trace
    start_uj: int = 5_000_000
    range_uj: int = INTEL_RANGE_UJ
    fault: Fault | None = None
    fault_since_s: float = 0.0

    def denied(self, at_s: float) -> bool:
        """Whether it shows nothing at this moment."""
        return self.fault == "denied" and at_s >= self.fault_since_s

    def counter_uj(self, at_s: float) -> int:
        """What its counter shows at a moment, in whole microjoules."""
        if self.fault == "frozen":
            at_s = min(at_s, self.fault_since_s)
        counted_uj = self.start_uj + int(self.trace.energy_j(at_s) * 1e6)
        return counted_uj % self.range_uj if self.kind == "rapl" else counted_uj


@dataclass
class Sensors:
    """All sensors of a simulated host, in a folder."""

    folder: Path
    all: list[Sensor] = field(default_factory=list)

    @property
    def tree(self) -> Path:
        """The powercap tree: where `intel-rapl:0` and its like lie."""
        return self.folder / "powercap"

    def add(self, kind: Literal["rapl", "gpu", "gpu_power"], wave: Wave, **fields: Any) -> int:
        """One more sensor, which draws from now on; its number."""
        trace = Trace(((time.monotonic(), wave),))
        sensor = Sensor(kind=kind, trace=trace, **fields)
        if kind == "rapl":
            self._lay(len(self._packages()), sensor)
        self.all.append(sensor)
        self._save()
        return len(self.all) - 1

    def draw(self, **waves: Wave) -> None:
        """Let sensors follow other waves from now on, by number: `draw(s0=steady(50))`."""
        now_s = time.monotonic()
        for name, wave in waves.items():
            sensor = self.all[int(name[1:])]
            trace = Trace((*sensor.trace.parts, (now_s, wave)))
            self.all[int(name[1:])] = replace(sensor, trace=trace)
        self._save()

    def break_(self, number: int, fault: Fault) -> None:
        """Break a sensor from now on."""
        now_s = time.monotonic()
        self.all[number] = replace(self.all[number], fault=fault, fault_since_s=now_s)
        self._save()

    def set_counter(self, number: int, value_uj: int) -> None:
        """Let a sensor's counter stand at a value now, as a reset does; it counts on from there."""
        sensor, now_s = self.all[number], time.monotonic()
        start_uj = value_uj - int(sensor.trace.energy_j(now_s) * 1e6)
        self.all[number] = replace(sensor, start_uj=start_uj)
        self._save()

    def mend(self) -> None:
        """Let every sensor show its trace again."""
        self.all = [replace(sensor, fault=None) for sensor in self.all]
        self._save()

    def between_j(self, numbers: Iterable[int], from_s: float, to_s: float) -> float:
        """The truth: what these sensors drew between two moments of the monotonic clock."""
        return sum(self.all[number].trace.between_j(from_s, to_s) for number in numbers)

    def _packages(self) -> list[Sensor]:
        return [sensor for sensor in self.all if sensor.kind == "rapl"]

    def _lay(self, package: int, sensor: Sensor) -> None:
        folder = self.tree / f"intel-rapl:{package}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"package-{package}\n")
        (folder / "max_energy_range_uj").write_text(f"{sensor.range_uj}\n")
        (folder / "energy_uj").write_text("nobody reads this file itself\n")

    def _save(self) -> None:
        """Replace the file as a whole."""
        body = [asdict(s) | {"trace": s.trace.to_json()} for s in self.all]
        (self.folder / "next").write_text(json.dumps(body))
        (self.folder / "next").rename(self.folder / STATE)


class Shown:
    """The sensors as another process sees them; each value that it takes is written down."""

    def __init__(self, folder: Path) -> None:
        """Look at nothing yet."""
        self._state = folder / STATE
        self._seen = (-1, -1)
        self._sensors: list[Sensor] = []
        self._reads = os.open(folder / READS, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def all(self) -> list[Sensor]:
        """The sensors as they are now."""
        stat = os.stat(self._state)
        if (stat.st_ino, stat.st_mtime_ns) != self._seen:
            body = json.loads(self._state.read_text())
            self._sensors = [Sensor(**s | {"trace": from_json(s["trace"])}) for s in body]
            self._seen = (stat.st_ino, stat.st_mtime_ns)
        return self._sensors

    def numbered(self, *kinds: str) -> list[int]:
        """The sensors of these kinds, by number in `all`."""
        return [number for number, sensor in enumerate(self.all()) if sensor.kind in kinds]

    def counter_uj(self, number: int) -> int | None:
        """A sensor's counter now, written down with the moment; null where it shows none."""
        sensor = self.all()[number]
        now_s = time.monotonic()
        if sensor.denied(now_s):
            return None
        value_uj = sensor.counter_uj(now_s)
        os.write(self._reads, f"{number} {now_s!r} {value_uj}\n".encode())
        return value_uj

    def power_w(self, number: int) -> float | None:
        """A sensor's power now; null where it shows none."""
        sensor, now_s = self.all()[number], time.monotonic()
        return None if sensor.denied(now_s) else sensor.trace.power_w(now_s)


def reads(folder: Path, number: int) -> list[tuple[float, int]]:
    """The moments at which a sensor's counter was taken, and what it showed."""
    lines = [line.split() for line in (folder / READS).read_text().splitlines()]
    return [(float(at_s), int(value)) for who, at_s, value in lines if int(who) == number]
