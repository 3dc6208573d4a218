"""Who used the CPU, by the kernel's account of every process: the truth about contention.

The product takes the host's busy time and subtracts what is its own. Here it is the other way
round: what every other process gains is added up, from `/proc/PID/stat`, ten times a second. What a
process used between its last look and its end, its parent knows: there the seconds of ended
children grow by more than what was seen of them.
"""

import contextlib
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
LOOK_S = 0.1


class Seen(NamedTuple):
    """A process at one look: its parent, its own CPU-seconds and those of its ended children."""

    parent: int
    own_s: float
    ended_s: float


class Used(NamedTuple):
    """CPU-seconds from the first look until a moment of the monotonic clock."""

    at_s: float
    others_s: float
    service_s: float


Who = tuple[int, int]  # a process's number and the tick of its start: numbers are used again
NOTHING = Seen(0, 0.0, 0.0)


class Watch:
    """Adds up CPU-seconds while a block runs: those below a supervisor, and those of all others.

    A load that knows its own CPU time better is left out of the others by its process.
    """

    def __init__(self, supervisor: int, left_out: Sequence[int] = ()) -> None:
        """Look at nothing yet."""
        self._supervisor, self._left_out = supervisor, set(left_out)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._last: dict[Who, Seen] = {}
        self.looks: list[Used] = []

    def __enter__(self) -> "Watch":
        """Begin."""
        self._last = _processes()
        self.looks.append(Used(time.monotonic(), 0.0, 0.0))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End with a last look."""
        self._ends.set()
        self._thread.join()
        self._look()

    def others_s(self, from_s: float, to_s: float) -> float:
        """What others used between two moments."""
        points = [(used.at_s, used.others_s) for used in self.looks]
        return at(points, to_s) - at(points, from_s)

    def service_s(self, from_s: float, to_s: float) -> float:
        """What the supervisor and all below it used, the training process among them."""
        points = [(used.at_s, used.service_s) for used in self.looks]
        return at(points, to_s) - at(points, from_s)

    def _run(self) -> None:
        while not self._ends.wait(LOOK_S):
            self._look()

    def _look(self) -> None:
        at_s, now = time.monotonic(), _processes()
        gains = _gains(self._last, now)
        family = _below(self._supervisor, now)
        before, self._last = self.looks[-1], now
        service_s = sum(gain_s for pid, gain_s in gains if pid in family)
        others_s = sum(
            gain_s for pid, gain_s in gains if pid not in family and pid not in self._left_out
        )
        self.looks.append(Used(at_s, before.others_s + others_s, before.service_s + service_s))


def _gains(last: dict[Who, Seen], now: dict[Who, Seen]) -> list[tuple[int, float]]:
    """What each process gained since the last look, with what was not seen of ended children."""
    ended = {who[0]: last[who] for who in last.keys() - now.keys()}
    known: dict[int, float] = {}  # of those, by the first of their parents that still lives
    for seen in ended.values():
        heir = seen.parent
        while heir in ended:
            heir = ended[heir].parent
        known[heir] = known.get(heir, 0.0) + seen.own_s + seen.ended_s
    gains = []
    for who, seen in now.items():
        before = last.get(who, NOTHING)
        unseen_s = seen.ended_s - before.ended_s - known.get(who[0], 0.0)
        gains.append((who[0], seen.own_s - before.own_s + max(0.0, unseen_s)))
    return gains


def _processes() -> dict[Who, Seen]:
    """Every process of the machine."""
    found = {}
    for name in os.listdir(PROC):
        if name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                words = (PROC / name / "stat").read_text().rpartition(")")[2].split()
                own_s, ended_s = (sum(map(int, words[n : n + 2])) / TICKS for n in (11, 13))
                found[int(name), int(words[19])] = Seen(int(words[1]), own_s, ended_s)
    return found


def _below(root: int, now: dict[Who, Seen]) -> set[int]:
    family, new = {root}, {root}
    while new:
        new = {who[0] for who, seen in now.items() if seen.parent in new} - family
        family |= new
    return family


def at(points: Sequence[tuple[float, float]], moment_s: float) -> float:
    """The value at a moment, on straight lines between the points.

    Raises:
        ValueError: it lies outside of them.
    """
    after = bisect_left(points, (moment_s, 0.0))
    if not 0 < after < len(points):
        raise ValueError(f"expected a moment among {len(points)} points, received {moment_s}")
    (t0, y0), (t1, y1) = points[after - 1], points[after]
    return y0 + (y1 - y0) * (moment_s - t0) / (t1 - t0)
