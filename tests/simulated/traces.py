"""Power that is known at every moment, and its exact integral: what a simulated counter shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Piece:
    """A stretch in which power goes in a straight line from one value to another."""

    duration_s: float
    from_w: float
    to_w: float

    def energy_j(self, until_s: float) -> float:
        """Joules of the first `until_s` seconds of it."""
        return until_s * (self.from_w + self.power_w(until_s)) / 2

    def power_w(self, at_s: float) -> float:
        """Watts, so many seconds after its beginning."""
        return self.from_w + (self.to_w - self.from_w) * at_s / self.duration_s


@dataclass(frozen=True)
class Wave:
    """Pieces that repeat for ever."""

    pieces: tuple[Piece, ...]

    @property
    def period_s(self) -> float:
        """Seconds of one round."""
        return sum(piece.duration_s for piece in self.pieces)

    def energy_j(self, until_s: float) -> float:
        """Joules from its beginning until then; 0 before it."""
        if until_s <= 0:
            return 0.0
        rounds, left_s = divmod(until_s, self.period_s)
        joules = rounds * sum(piece.energy_j(piece.duration_s) for piece in self.pieces)
        for piece in self.pieces:
            joules += piece.energy_j(min(left_s, piece.duration_s))
            left_s -= piece.duration_s
            if left_s <= 0:
                break
        return joules

    def power_w(self, at_s: float) -> float:
        """Watts at a moment of it."""
        left_s = at_s % self.period_s
        for piece in self.pieces:
            if left_s <= piece.duration_s:
                return piece.power_w(left_s)
            left_s -= piece.duration_s
        return self.pieces[-1].to_w


def steady(watts: float) -> Wave:
    """The same power always."""
    return Wave((Piece(3600.0, watts, watts),))


def square(low_w: float, high_w: float, period_s: float) -> Wave:
    """Half of the time low, half of it high."""
    half_s = period_s / 2
    return Wave((Piece(half_s, low_w, low_w), Piece(half_s, high_w, high_w)))


def ramp(from_w: float, to_w: float, period_s: float) -> Wave:
    """Up in a straight line, then from the beginning again."""
    return Wave((Piece(period_s, from_w, to_w),))


def bursts(low_w: float, high_w: float, *, every_s: float, burst_s: float) -> Wave:
    """Low, with a short burst in every round."""
    return Wave((Piece(every_s - burst_s, low_w, low_w), Piece(burst_s, high_w, high_w)))


@dataclass(frozen=True)
class Trace:
    """Waves one after the other, each from a moment of the monotonic clock on."""

    parts: tuple[tuple[float, Wave], ...]

    def energy_j(self, at_s: float) -> float:
        """Joules from the first wave's beginning until then."""
        joules = 0.0
        ends = [since_s for since_s, _ in self.parts[1:]]
        for (since_s, wave), end_s in zip(self.parts, [*ends, at_s], strict=True):
            joules += wave.energy_j(min(end_s, at_s) - since_s)
        return joules

    def power_w(self, at_s: float) -> float:
        """Watts at a moment; 0 before the first wave."""
        begun = [(since_s, wave) for since_s, wave in self.parts if since_s <= at_s]
        return begun[-1][1].power_w(at_s - begun[-1][0]) if begun else 0.0

    def between_j(self, from_s: float, to_s: float) -> float:
        """Joules between two moments."""
        return self.energy_j(to_s) - self.energy_j(from_s)

    def to_json(self) -> list[Any]:
        """As `from_json` takes it."""
        return [
            [since_s, [[p.duration_s, p.from_w, p.to_w] for p in wave.pieces]]
            for since_s, wave in self.parts
        ]


def from_json(parts: Sequence[Any]) -> Trace:
    """A trace as `Trace.to_json` writes it."""
    return Trace(tuple((since_s, Wave(tuple(Piece(*p) for p in ps))) for since_s, ps in parts))
