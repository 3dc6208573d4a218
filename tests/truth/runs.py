"""A run set against the truth: the trace, integrated between moments of the system's own clock.

Two truths, each for another promise:

- **By the report's boundaries.** A user reads `start_s`, `duration_s` and `energy_j` of a phase and
  divides one by the other. The trace is integrated between exactly these moments. Where they lie on
  the system's clock is found from the moments at which the simulated counters were taken, which the
  product does not know of.
- **By the training process's clock.** A user wants to know what was drawn while an epoch trained.
  The process notes when it asked for each boundary and when it went on; the boundary's reading
  happened between the two. So a phase has to lie between what was drawn from going on to asking,
  and what was drawn from asking to going on: this notices joules that are given to the wrong phase,
  and boundaries that are told wrongly, which the first truth alone could not.
"""

import json
import statistics
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from time import monotonic, time
from typing import Any

from tests.simulated.sensors import Sensors, reads

RESOLVED_S = 0.3  # a phase from which the promise holds
TOLERANCE = 0.005


@dataclass(frozen=True)
class Phase:
    """A phase as it was told, and the joules that it has on top of what models added to it."""

    name: str
    index: int | None
    start_s: float  # of the monotonic clock
    duration_s: float
    energy_j: float | None


@dataclass(frozen=True)
class Mark:
    """A boundary by the training process's clock."""

    begins: str
    index: int | None
    asked_s: float
    went_s: float


@dataclass(frozen=True)
class Run:
    """A finished job: its report, its readings, and where they lie on the system's clock."""

    report: dict[str, Any]
    record: dict[str, Any]
    zero_s: float
    marks: tuple[Mark, ...]
    sensors: Sensors

    @property
    def end_s(self) -> float:
        """The moment of the last reading."""
        return self.zero_s + self.record["readings"][-1]["t_s"]

    def codes(self) -> set[str]:
        """The reasons for its grade."""
        return {reason["code"] for reason in self.report["trust"]["reasons"]}

    def component_error(self, name: str, numbers: Iterable[int]) -> float:
        """The error of a component's total, as a share of the truth."""
        truth_j = self.sensors.between_j(numbers, self.zero_s, self.end_s)
        energy_j = self.report["energy"][name]["energy_j"]
        assert energy_j is not None, self.report["energy"][name]
        return energy_j / truth_j - 1

    def phases(self) -> list[Phase]:
        """Those that are long enough, without the flat power of the RAM."""
        ram_w = self._ram_w()
        return [
            Phase(
                name=phase["name"],
                index=phase["index"],
                start_s=self.zero_s + phase["start_s"],
                duration_s=phase["duration_s"],
                energy_j=None
                if phase["energy_j"] is None
                else phase["energy_j"] - ram_w * phase["duration_s"],
            )
            for phase in self.report["phases"]
            if phase["duration_s"] >= RESOLVED_S
        ]

    def phase_errors(self, numbers: Sequence[int]) -> dict[str, float]:
        """The error of each long phase against the trace between its own boundaries."""
        found = {}
        for phase in self.phases():
            end_s = phase.start_s + phase.duration_s
            truth_j = self.sensors.between_j(numbers, phase.start_s, end_s)
            assert phase.energy_j is not None, phase
            found[f"{phase.name} {phase.index}"] = phase.energy_j / truth_j - 1
        return found

    def outside_of_clock(self, numbers: Sequence[int]) -> dict[str, float]:
        """By how much each long phase lies outside of what the training's clock allows.

        As a share of the truth; 0 where it lies inside.
        """
        told = {(phase.name, phase.index): phase for phase in self.phases()}
        found = {}
        for one, two in pairwise(self.marks):
            phase = told.get((one.begins, one.index))
            if phase is None or phase.energy_j is None:
                continue
            least_j = self.sensors.between_j(numbers, one.went_s, two.asked_s)
            most_j = self.sensors.between_j(numbers, one.asked_s, two.went_s)
            beyond_j = max(least_j - phase.energy_j, phase.energy_j - most_j, 0.0)
            found[f"{phase.name} {phase.index}"] = beyond_j / least_j
        return found

    def slowest_boundary_s(self) -> float:
        """The longest that the training waited for a boundary of a long phase."""
        long = {(phase.name, phase.index) for phase in self.phases()}
        ends = [
            mark.went_s - mark.asked_s
            for one, two in pairwise(self.marks)
            if (one.begins, one.index) in long
            for mark in (one, two)
        ]
        return max(ends)

    def _ram_w(self) -> float:
        ram = self.report["energy"]["ram"]["energy_j"]
        return 0.0 if ram is None else ram / self.report["duration_s"]


def run_of(report: dict[str, Any], record: dict[str, Any], sensors: Sensors, marks: Path) -> Run:
    """A run with its place on the system's clock."""
    t_s = [reading["t_s"] for reading in record["readings"]]
    zero_s = _zero_s(t_s, record["started_at"], _taken(sensors))
    inside = [mark for mark in _marks(marks) if zero_s <= mark.asked_s <= zero_s + t_s[-1]]
    return Run(report, record, zero_s, tuple(inside), sensors)


def _taken(sensors: Sensors) -> list[float]:
    """The moments at which any counter was taken."""
    return sorted(at_s for n in range(len(sensors.all)) for at_s, _ in reads(sensors.folder, n))


def _marks(path: Path) -> list[Mark]:
    return [Mark(**json.loads(line)) for line in path.read_text().splitlines()]


def _zero_s(t_s: Sequence[float], started_at: str, taken: Sequence[float]) -> float:
    """Second 0 of a run on the monotonic clock.

    Roughly from the wall clock, exactly from the moments at which the counters were taken: the
    readings' seconds have to lie on them.
    """
    roughly_s = datetime.fromisoformat(started_at).timestamp() - time() + monotonic()
    first_s = max(at_s for at_s in taken if at_s <= roughly_s)
    return first_s + statistics.median(_nearest(taken, first_s + t) - first_s - t for t in t_s)


def _nearest(taken: Sequence[float], at_s: float) -> float:
    after = bisect_left(taken, at_s)
    return min(taken[max(0, after - 1) : after + 1], key=lambda moment: abs(moment - at_s))
