"""The conditions of a run, from its readings: who used the CPU, what was missed, what drifted."""

import math
from collections.abc import Callable, Sequence

from app.accounting import series
from app.domain.readings import Reading, Readings

# Of the host's CPU time: above it others, or the service, are busy, whether in a run, before it or
# in an idle window. Benchmarks as MLPerf want a quiet host; the bound is our judgement (2026).
BUSY_SHARE = 0.05
WATCHED_SHARE = 0.5  # of the run that CPU-seconds must cover to say something of it
WARM_UP_S = 60.0  # in which every chip gets warmer; what drifts later is judged
DRIFT_SAMPLES = 10  # temperatures in each compared part, at least: single ones are noise
WRAP_MARGIN = 1.5  # on the largest power that a sensor showed, for what it did unseen
WRAP_POWER_W = 500.0  # what a sensor may have seen at least: the largest rated power of a socket
WRAP_SPAN_S = 0.1  # shorter spans say little of a power


def contention_share(readings: Readings) -> float | None:
    """CPU-seconds of others over the host's, within the readings that have all three counters.

    The job's process is gone at the last reading and may not be there at the first. Null where
    the readings with everything cover less than half of the run. The worker's process, and with it
    the meter, belongs to the service's CPU-seconds.
    """
    return _share(readings, _others_s)


def others_over_job(readings: Readings) -> float | None:
    """CPU-seconds of others over those of the job, within the readings that have all counters.

    On a host of many CPUs a small share of its CPU time may be much beside a small job. Null where
    the readings cover too little of the run, as above, and where the job used nothing in them.
    """
    counted = [(r, used_s) for r in readings.readings if (used_s := _others_s(r)) is not None]
    if not _cover(readings, [reading.t_s for reading, _ in counted]):
        return None
    job_s = _gain([reading.job_cpu_s for reading, _ in counted])
    others_s = _gain([used_s for _, used_s in counted])
    ratio = others_s / job_s if job_s and others_s is not None else math.inf
    return ratio if math.isfinite(ratio) else None


def service_share(readings: Readings) -> float | None:
    """CPU-seconds of API, worker, database and fork server over the host's; null as above."""
    return _share(readings, lambda reading: reading.service_cpu_s)


def _share(readings: Readings, of: Callable[[Reading], float | None]) -> float | None:
    """What a cumulative number of CPU-seconds gained, over the host's CPU time meanwhile."""
    known = [
        (reading.t_s, used) for reading in readings.readings if (used := of(reading)) is not None
    ]
    if not _cover(readings, [t_s for t_s, _ in known]):
        return None
    window_s = known[-1][0] - known[0][0]
    return max(0.0, known[-1][1] - known[0][1]) / (window_s * max(1, readings.host.host_cpus))


def _cover(readings: Readings, known_s: Sequence[float]) -> bool:
    """Whether the readings at these moments span enough of the run to speak for it."""
    window_s = known_s[-1] - known_s[0] if known_s else 0.0
    return window_s > 0 and window_s >= WATCHED_SHARE * series.times(readings)[-1]


def _others_s(reading: Reading) -> float | None:
    """Cumulative CPU-seconds of everything but the job and the service."""
    busy_s, job_s, service_s = reading.host_busy_s, reading.job_cpu_s, reading.service_cpu_s
    if busy_s is None or job_s is None or service_s is None:
        return None
    return busy_s - job_s - service_s


def steal_s(readings: Readings) -> float | None:
    """CPU-seconds that the hypervisor took; null where it is not shown."""
    return _gain([reading.host_steal_s for reading in readings.readings])


def instrument_s(readings: Readings) -> float | None:
    """CPU-seconds of the worker's whole process, an upper bound of what measuring costs."""
    return _gain([reading.instrument_cpu_s for reading in readings.readings])


def swapped_mib(readings: Readings) -> float | None:
    """MiB that the host swapped, in and out; null where it is not shown."""
    return _gain([reading.swapped_mib for reading in readings.readings])


def _gain(values: Sequence[float | None]) -> float | None:
    """What a cumulative number gained; at least 0, null where it was not seen twice."""
    gained = series.difference(values)
    return None if gained is None else max(0.0, gained)


def instrument_j(readings: Readings, cpu_j: float | None) -> float | None:
    """The CPU's energy by the instrument's part of all busy CPU-seconds.

    Args:
        readings: of the run.
        cpu_j: the CPU's energy; null without a figure.
    """
    both = [
        reading
        for reading in readings.readings
        if reading.host_busy_s is not None and reading.instrument_cpu_s is not None
    ]
    busy_s = _gain([reading.host_busy_s for reading in both])
    used_s = _gain([reading.instrument_cpu_s for reading in both])
    if cpu_j is None or used_s is None or not busy_s:
        return None
    return cpu_j * min(1.0, used_s / busy_s)


def largest_gap_s(readings: Readings) -> float | None:
    """The longest time between two readings; null where there is one reading."""
    t_s = series.times(readings)
    return max((b - a for a, b in zip(t_s, t_s[1:], strict=False)), default=None)


def drift_c(readings: Readings) -> float | None:
    """By how much CPU or GPU got warmer after the first minute, in °C; null where it was not seen.

    The mean of the last quarter of what is left of the run, less that of its first quarter, each of
    at least ten temperatures.
    """
    t_s = series.times(readings)
    left_s = t_s[-1] - WARM_UP_S
    if left_s <= 0:
        return None
    early = (WARM_UP_S, WARM_UP_S + left_s / 4)
    late = (t_s[-1] - left_s / 4, t_s[-1])
    columns = (
        [reading.cpu_temperature_c for reading in readings.readings],
        [reading.gpu_temperature_c for reading in readings.readings],
    )
    drifts = [
        after - before
        for column in columns
        if (before := _mean(t_s, column, early)) is not None
        and (after := _mean(t_s, column, late)) is not None
    ]
    return max(drifts, default=None)


def _mean(
    t_s: Sequence[float], values: Sequence[float | None], within: tuple[float, float]
) -> float | None:
    begin_s, end_s = within
    known = [
        value
        for t, value in zip(t_s, values, strict=True)
        if value is not None and begin_s <= t <= end_s
    ]
    return sum(known) / len(known) if len(known) >= DRIFT_SAMPLES else None


def wrapped(readings: Readings) -> bool:
    """Whether a counter of known range could have gained a whole range between two readings.

    One passage through 0 is seen and made good; a whole range more is not. What a sensor may have
    drawn in a gap is judged by 1.5 times the largest power that it showed, 500 W at least.
    """
    t_s = series.times(readings)
    for place, sensor in enumerate(readings.meter.sensors):
        if sensor.range_j is None:
            continue
        known = [
            (t, joules)
            for t, reading in zip(t_s, readings.readings, strict=True)
            if (joules := _at(reading, place)) is not None
        ]
        spans = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(known, known[1:], strict=False)]
        seen_w = max((j / span for span, j in spans if span >= WRAP_SPAN_S), default=0.0)
        gap_s = max((span for span, _ in spans), default=0.0)
        if max(WRAP_MARGIN * seen_w, WRAP_POWER_W) * gap_s >= sensor.range_j:
            return True
    return False


def _at(reading: Reading, place: int) -> float | None:
    return reading.sensors_j[place] if place < len(reading.sensors_j) else None
