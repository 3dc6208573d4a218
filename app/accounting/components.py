"""The components of a host: the CPU, GPUs by sensor or rated power, RAM by size."""

from collections.abc import Sequence
from dataclasses import replace

from app.accounting import series
from app.accounting.assumptions import AssumptionSet
from app.accounting.cpu import cpu
from app.accounting.parts import POWER_SAMPLES, Part, Parts, counted, measured, point
from app.domain.readings import ComponentFacts, HostFacts, Method, Readings
from app.domain.reports import Component, ModelFigure

GB_PER_GIB = 2**30 / 1e9
MODELLED = frozenset({Method.ESTIMATED, Method.ASSUMED})


def parts(readings: Readings, assumptions: AssumptionSet) -> Parts:
    """Every component of an attempt; none has a figure below 0.3 s (`too_short`)."""
    seen = readings.readings
    return Parts(
        cpu=replace(cpu(readings, assumptions), raw_j=_raw_j([r.cpu_j for r in seen])),
        gpu=replace(_gpu(readings, assumptions), raw_j=_raw_j([r.gpu_j for r in seen])),
        ram=replace(_ram(readings, assumptions), raw_j=_raw_j([r.ram_j for r in seen])),
    )


def _raw_j(counter: Sequence[float | None]) -> float | None:
    """Last less first of a counter; null where one is missing, or the counter began anew."""
    first, last = counter[0], counter[-1]
    if first is None or last is None or len(counter) < 2 or last < first:
        return None
    return last - first


def _gpu(readings: Readings, a: AssumptionSet) -> Part:
    """Devices with a sensor by their counter, those without by a share of their TDP."""
    facts = readings.meter.gpu
    counter = [reading.gpu_j for reading in readings.readings]
    tdp_w = facts.tdp_w if facts.method in MODELLED else None
    if tdp_w is not None and all(joules is None for joules in counter):
        counter = [0.0] * len(counter)  # no device has a sensor
    joules = counted("gpu", facts, readings, counter)
    if isinstance(joules, Part):
        return joules
    if tdp_w is None:
        return measured(
            facts,
            joules,
            _gpu_error(readings, a),
            idle_w=None if readings.idle is None else readings.idle.gpu_w,
            duration_s=series.times(readings)[-1],
        )
    return _gpu_by_tdp(readings, tdp_w, joules, a)


def _gpu_error(readings: Readings, a: AssumptionSet) -> float:
    """NVML's error: wide for chips that sample seldom, short runs, and power that is sampled."""
    sparse = any(chip in gpu for gpu in readings.host.gpus for chip in a.gpu_sparse_models)
    short = series.times(readings)[-1] < a.gpu_short_s
    sampled = POWER_SAMPLES in (readings.meter.gpu.source or "")
    return a.gpu_sparse_error if sparse or short or sampled else a.gpu_sensor_error


def _gpu_by_tdp(
    readings: Readings, tdp_w: float, counted: tuple[float, ...], a: AssumptionSet
) -> Part:
    """Devices of which only the TDP is known, on top of what the others counted."""
    t_s, error = series.times(readings), _gpu_error(readings, a)
    assumed_w = a.gpu_tdp_share * tdp_w
    joules = tuple(j + t * assumed_w for j, t in zip(counted, t_s, strict=True))
    source = f"{a.gpu_tdp_share:g} of the TDP"
    if readings.meter.gpu.source:
        source = f"{readings.meter.gpu.source}; {source} of devices without a sensor"
    component = Component(
        energy_j=joules[-1],
        low_j=counted[-1] * (1 - error) + a.gpu_tdp_share_low * tdp_w * t_s[-1],
        high_j=counted[-1] * (1 + error) + a.gpu_tdp_share_high * tdp_w * t_s[-1],
        interval="published_models",
        method=Method.ASSUMED,
        source=source,
        reason=readings.meter.gpu.reason,
    )
    return Part(component=component, joules=joules, codes=("gpu_power_assumed",))


def _ram(readings: Readings, a: AssumptionSet) -> Part:
    facts = readings.meter.ram
    joules = counted("ram", facts, readings, [r.ram_j for r in readings.readings])
    if isinstance(joules, Part):
        return joules
    duration_s = series.times(readings)[-1]
    if facts.method is Method.MEASURED:
        return measured(facts, joules, a.ram_sensor_error, idle_w=None, duration_s=duration_s)
    return _modelled_ram(readings, joules, a)


def _modelled_ram(readings: Readings, raw: tuple[float, ...], a: AssumptionSet) -> Part:
    """A flat power by size: codecarbon's, or watts a GB of the assumptions."""
    facts, host, t_s = readings.meter.ram, readings.host, series.times(readings)
    low_j = a.ram_low_w_per_gb * _gigabytes(host) * t_s[-1]
    high_j = a.ram_high_w_per_gib * host.memory_gib * t_s[-1]
    published = {
        f"{name}, {rate:g} W/GB": point(rate * _gigabytes(host) * t_s[-1])
        for name, rate in a.ram_published_w_per_gb.items()
    }
    by_size = f"{a.ram_low_w_per_gb:g} W/GB to {a.ram_high_w_per_gib:g} W/GiB by size"
    by_rate = a.central == "specpower"
    idle_w = ram_idle_w(host, facts, a)
    joules = tuple(t * (idle_w or 0.0) for t in t_s) if by_rate else raw
    component = Component(
        energy_j=joules[-1],
        low_j=min(raw[-1], low_j),
        high_j=max(raw[-1], high_j),
        interval="published_models",
        method=Method.ASSUMED,
        source=f"{a.server_ram_w_per_gb:g} W/GB" if by_rate else facts.source,
        models={
            "codecarbon": point(raw[-1]),
            by_size: ModelFigure(energy_j=None, low_j=low_j, high_j=high_j),
            **published,
        },
    )
    flat_w = raw[-1] / t_s[-1] if idle_w is None else idle_w
    net_j = joules[-1] - flat_w * t_s[-1]
    return Part(
        component=component,
        joules=joules,
        idle_w=flat_w,
        net_j=(net_j, net_j),
        codes=("ram_power_assumed",),
    )


def _gigabytes(host: HostFacts) -> float:
    return host.memory_gib * GB_PER_GIB


def ram_idle_w(host: HostFacts, facts: ComponentFacts, a: AssumptionSet) -> float | None:
    """The flat power of RAM without a counter; null where only the counter knows it."""
    if a.central == "specpower":
        return a.server_ram_w_per_gb * _gigabytes(host)
    return facts.constant_w
