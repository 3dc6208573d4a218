"""Counters as differences: corrected joules at every reading, loads between them, windows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.domain.readings import Reading, Readings

STOPPED_S = 2.0  # a sensor of a powered chip always counts: RAPL every 1 ms, NVML every 100 ms


@dataclass(frozen=True)
class Fault:
    """Why a counter cannot be used: a reason code and a sentence."""

    code: str
    reason: str


@dataclass(frozen=True)
class Load:
    """The host's CPU load from 0 to 1 over a span of time; null where it was not counted."""

    duration_s: float
    load: float | None


def times(readings: Readings) -> tuple[float, ...]:
    """Seconds since the first reading, of every reading."""
    start_s = readings.readings[0].t_s
    return tuple(reading.t_s - start_s for reading in readings.readings)


def cumulative(
    t_s: Sequence[float], counter: Sequence[float | None], *, sensor: bool, sampled: bool = False
) -> tuple[float, ...] | Fault:
    """Joules since the first reading; a gap between two known values is filled by time.

    Args:
        t_s: seconds of every reading.
        counter: cumulative joules of every reading.
        sensor: whether a hardware counter stands behind it, which may stop.
        sampled: whether it adds up power that is read now and then. A counter goes on in a gap;
            a sum does not, so that what a gap used is missing in it for good.
    """
    if counter[0] is None or counter[-1] is None:
        return Fault("counter_lost", "the counter gave no value at the start or at the end")
    if sampled and any(joules is None for joules in counter):
        return Fault("counter_lost", "the power that is added up could not be read for a time")
    known = [(t, j) for t, j in zip(t_s, counter, strict=True) if j is not None]
    if (fault := _backwards(counter)) is not None:
        return fault
    if sensor and _longest_standstill_s(known) > STOPPED_S:
        return Fault("counter_stopped", f"the counter stood still for over {STOPPED_S:g} s")
    start_j = counter[0]
    return tuple(joules - start_j for joules in _filled(t_s, counter))


def _backwards(counter: Sequence[float | None]) -> Fault | None:
    """Why a value is below the one before it: lost in between, or set back; null: none is."""
    known = [(n, joules) for n, joules in enumerate(counter) if joules is not None]
    for (one, before), (two, after) in zip(known, known[1:], strict=False):
        if after < before and two > one + 1:
            return Fault("counter_lost", "the counter gave no value in between, and began anew")
        if after < before:
            return Fault("counter_jumped", "the counter went backwards")
    return None


def _filled(t_s: Sequence[float], counter: Sequence[float | None]) -> Iterator[float]:
    """Every value of a counter; a missing one lies between its neighbours, in order as in time."""
    known = [n for n, joules in enumerate(counter) if joules is not None]
    for one, two in zip(known, known[1:], strict=False):
        ends = [(t_s[n], counter[n] or 0.0) for n in (one, two)]
        yield ends[0][1]
        yield from (min(interpolate(ends, t_s[n]), ends[1][1]) for n in range(one + 1, two))
    yield counter[known[-1]] or 0.0


def _longest_standstill_s(known: Sequence[tuple[float, float]]) -> float:
    longest_s, since_s, last_j = 0.0, known[0][0], known[0][1]
    for t, j in known:
        if j > last_j:
            since_s, last_j = t, j
        longest_s = max(longest_s, t - since_s)
    return longest_s


def interpolate(points: Sequence[tuple[float, float]], x: float) -> float:
    """The value at `x` on straight lines between points that are ordered by their first value."""
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        if x <= x1:
            return y0 if x1 == x0 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return points[-1][1]


def loads(readings: Readings) -> tuple[Load, ...]:
    """The host's load between readings that have its busy CPU-seconds, and the spans without."""
    all_readings, cpus = readings.readings, max(1, readings.host.host_cpus)
    known = [reading for reading in all_readings if reading.host_busy_s is not None]
    if not known:
        return (Load(all_readings[-1].t_s - all_readings[0].t_s, None),)
    spans = [
        Load(known[0].t_s - all_readings[0].t_s, None),
        *(_load(one, two, cpus) for one, two in zip(known, known[1:], strict=False)),
        Load(all_readings[-1].t_s - known[-1].t_s, None),
    ]
    return tuple(span for span in spans if span.duration_s > 0)


def _load(one: Reading, two: Reading, cpus: int) -> Load:
    """The load between two readings: at most 1 (clocks differ), null if the counter was reset."""
    duration_s = two.t_s - one.t_s
    busy_s = (two.host_busy_s or 0.0) - (one.host_busy_s or 0.0)
    if duration_s <= 0 or busy_s < 0:
        return Load(duration_s, None)
    return Load(duration_s, min(1.0, busy_s / (duration_s * cpus)))


def difference(values: Sequence[float | None]) -> float | None:
    """Last less first of the values that are known; null where fewer than two are."""
    known = [value for value in values if value is not None]
    return known[-1] - known[0] if len(known) > 1 else None
