"""The energy of each component: raw joules, named corrections, interval, and why there is none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from app.accounting import processors, series
from app.accounting.assumptions import AssumptionSet
from app.accounting.models import (
    ModelEnergy,
    cumulative,
    energy,
    models,
    specpower,
    tdp_models,
    watts,
)
from app.accounting.series import Fault
from app.domain.readings import ComponentFacts, HostFacts, Method, Readings
from app.domain.reports import Component, Correction, ExcludedModel, ModelFigure

GUESS_PER_SOCKET = "guess_per_socket"
KNOWN_TDP = "known_tdp"
POWER_SAMPLES = "power samples"  # in the source of GPUs without an energy counter
GB_PER_GIB = 2**30 / 1e9
TOO_SHORT_S = 0.3  # measurement.md's goal of ≤ 0.5 % holds from here up
GUESSES = frozenset({"cpu_power_guessed", "cpu_generation_unknown"})  # no fact of the CPU in it
MODELLED = frozenset({Method.ESTIMATED, Method.ASSUMED})


@dataclass(frozen=True, kw_only=True)
class Part:
    """A component's energy with what the rest of the report needs of it.

    Attributes:
        component: as it stands in the report.
        joules: corrected joules since the first reading, at every reading; null without a figure.
        raw_j: codecarbon's own joules of the window, without corrections, even where we give no
            figure; null where its counter is not known at both ends.
        idle_w: what the model bills at no load, or what the sensor showed over an idle window; null
            where there is neither.
        net_j: lowest and highest joules above idle power, which may be below 0; null without it.
        partial: whether a sensor of it is left out of the figure.
        codes: reason codes of `trust.REASONS`.
    """

    component: Component
    joules: tuple[float, ...] | None = None
    raw_j: float | None = None
    idle_w: float | None = None
    net_j: tuple[float, float] | None = None
    partial: bool = False
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The components of a host."""

    cpu: Part
    gpu: Part
    ram: Part

    @property
    def all(self) -> tuple[Part, Part, Part]:
        """CPU, GPU, RAM: the order in which they are added up."""
        return self.cpu, self.gpu, self.ram

    @property
    def known(self) -> tuple[Part, ...]:
        """The parts that have a figure."""
        return tuple(part for part in self.all if part.joules is not None)


def parts(readings: Readings, assumptions: AssumptionSet) -> Parts:
    """Every component of an attempt; none has a figure below 0.3 s (`too_short`)."""
    seen = readings.readings
    return Parts(
        cpu=replace(_cpu(readings, assumptions), raw_j=_raw_j([r.cpu_j for r in seen])),
        gpu=replace(_gpu(readings, assumptions), raw_j=_raw_j([r.gpu_j for r in seen])),
        ram=replace(_ram(readings, assumptions), raw_j=_raw_j([r.ram_j for r in seen])),
    )


def _raw_j(counter: Sequence[float | None]) -> float | None:
    """Last less first of a counter; null where one is missing, or the counter began anew."""
    first, last = counter[0], counter[-1]
    if first is None or last is None or len(counter) < 2 or last < first:
        return None
    return last - first


def without_figure(
    method: Method, *codes: str, source: str | None = None, reason: str | None = None
) -> Part:
    """A component that is absent or unavailable: null joules, never 0."""
    component = Component(
        energy_j=None,
        low_j=None,
        high_j=None,
        interval=None,
        method=method,
        source=source,
        reason=reason,
    )
    return Part(component=component, codes=codes)


def _counted(
    name: Literal["cpu", "gpu", "ram"],
    facts: ComponentFacts,
    readings: Readings,
    counter: Sequence[float | None],
) -> tuple[float, ...] | Part:
    """Raw joules since the first reading, or the part that says why there are none."""
    t_s = series.times(readings)
    if facts.method is Method.ABSENT:
        return without_figure(Method.ABSENT)
    if facts.method is Method.UNAVAILABLE:
        return without_figure(
            Method.UNAVAILABLE, f"{name}_unavailable", source=facts.source, reason=facts.reason
        )
    if t_s[-1] < TOO_SHORT_S:
        return without_figure(
            Method.UNAVAILABLE,
            "too_short",
            source=facts.source,
            reason=f"too short: {t_s[-1]:.3f} s is below the {TOO_SHORT_S:g} s that are resolved",
        )
    sensor = facts.method is Method.MEASURED
    sampled = POWER_SAMPLES in (facts.source or "")
    joules = _sensor_fault(name, readings) or series.cumulative(
        t_s, counter, sensor=sensor, sampled=sampled
    )
    if isinstance(joules, Fault):
        return without_figure(
            Method.UNAVAILABLE, joules.code, source=facts.source, reason=joules.reason
        )
    return joules


def _sensor_fault(name: str, readings: Readings) -> Fault | None:
    """The first fault of one sensor behind a component, whose sum may go on without it."""
    seen, t_s = readings.readings, series.times(readings)
    if not any(reading.sensors_j for reading in seen):
        return None
    for place, sensor in enumerate(readings.meter.sensors):
        if sensor.component != name:
            continue
        counter = [r.sensors_j[place] if place < len(r.sensors_j) else None for r in seen]
        fault = series.cumulative(t_s, counter, sensor=True)
        if isinstance(fault, Fault):
            return Fault(fault.code, f"{sensor.name}: {fault.reason}")
    return None


def _sensor(
    facts: ComponentFacts,
    joules: tuple[float, ...],
    error: float,
    *,
    idle_w: float | None,
    duration_s: float,
) -> Part:
    """A measured component: ± the sensor's stated error, which its idle power shares."""
    component = Component(
        energy_j=joules[-1],
        low_j=joules[-1] * (1 - error),
        high_j=joules[-1] * (1 + error),
        interval="sensor_error",
        method=Method.MEASURED,
        source=facts.source,
    )
    return Part(
        component=component,
        joules=joules,
        idle_w=idle_w,
        net_j=None if idle_w is None else _around(joules[-1] - idle_w * duration_s, error),
    )


def _around(joules: float, error: float) -> tuple[float, float]:
    """A difference of two readings of one sensor: both are off by the same factor."""
    low_j, high_j = sorted((joules * (1 - error), joules * (1 + error)))
    return low_j, high_j


def _cpu(readings: Readings, a: AssumptionSet) -> Part:
    facts, host = readings.meter.cpu, readings.host
    joules = _counted("cpu", facts, readings, [r.cpu_j for r in readings.readings])
    if isinstance(joules, Part):
        return joules
    if facts.method is not Method.MEASURED:
        return _modelled_cpu(readings, joules, a)
    part = _sensor(
        facts,
        joules,
        a.rapl_error.get(host.cpu_vendor or "", a.cpu_sensor_error),
        idle_w=None if readings.idle is None else readings.idle.cpu_w,
        duration_s=series.times(readings)[-1],
    )
    return _without_left_out(part, readings.meter.left_out)


def _without_left_out(part: Part, names: tuple[str, ...]) -> Part:
    """A part that says which of its sensors are not in it."""
    if not names:
        return part
    reason = f"not counted, since its counter stood as another's at the start: {', '.join(names)}"
    component = part.component.model_copy(update={"reason": reason})
    return replace(part, component=component, partial=True, codes=("sensor_left_out",))


@dataclass(frozen=True, kw_only=True)
class _Billing:
    """How codecarbon bills a CPU without a sensor, and what we make of it.

    Attributes:
        generation: the row of the SPECpower table; null: unknown.
        share: of the billed sockets that the host has; null where it is not known.
        tdp_w: the known TDP of what the host has of its sockets; null: a guess, or no share.
        guessed: whether the billed TDP is codecarbon's guess, and the user knows none.
        corrections: of codecarbon's reading.
    """

    generation: str | None
    share: float | None
    tdp_w: float | None
    guessed: bool
    corrections: tuple[Correction, ...]

    @property
    def factor(self) -> float:
        """All corrections together."""
        return math.prod(correction.factor for correction in self.corrections)

    @property
    def method(self) -> Method:
        """Estimated where the TDP or the generation is known."""
        return Method.ASSUMED if self.guessed and self.generation is None else Method.ESTIMATED


def _billing(host: HostFacts, facts: ComponentFacts) -> _Billing:
    share = processors.socket_share(host, facts)
    known_w = processors.known_tdp_w(host, facts)
    billed_w = None if facts.tdp_guessed else facts.tdp_w
    tdp_w = None if billed_w is None or share is None else billed_w * share
    return _Billing(
        generation=processors.generation(host),
        share=share,
        tdp_w=tdp_w if known_w is None else known_w,
        guessed=billed_w is None and known_w is None,
        corrections=_corrections(host, facts, share, known_w),
    )


def cpu_idle_w(host: HostFacts, facts: ComponentFacts, a: AssumptionSet) -> float | None:
    """What the central model of a CPU without a sensor bills at no load, in watts."""
    billing = _billing(host, facts)
    if a.central == "specpower":
        return watts(specpower(host, billing.generation, a).central, 0.0)
    return _codecarbon_idle_w(facts, billing, a)


def _codecarbon_idle_w(facts: ComponentFacts, billing: _Billing, a: AssumptionSet) -> float | None:
    idle_share = a.codecarbon_idle_share.get(facts.source or "")
    if idle_share is None or facts.tdp_w is None:
        return None
    return facts.tdp_w * idle_share * billing.factor


def cpu_guessed(host: HostFacts, facts: ComponentFacts, a: AssumptionSet) -> bool:
    """Whether the central figure of a CPU without a sensor rests on no fact of this CPU."""
    billing = _billing(host, facts)
    return billing.generation is None if a.central == "specpower" else billing.guessed


def _modelled_cpu(readings: Readings, raw: tuple[float, ...], a: AssumptionSet) -> Part:
    """One model at the host's share, inside the envelope of all the published models.

    The envelope is the same whichever of them is the central one. SPECpower has no figure where no
    load at all was counted; codecarbon's stays then.
    """
    facts, host = readings.meter.cpu, readings.host
    billing, loads = _billing(host, facts), series.loads(readings)
    codecarbon = tuple(joules * billing.factor for joules in raw)
    envelope = [energy(m, loads) for m in models(host, billing.generation, billing.tdp_w, a)]
    model = specpower(host, billing.generation, a)
    by_model = cumulative(model, readings) if a.central == "specpower" else None
    joules = codecarbon if by_model is None else by_model
    component = Component(
        energy_j=joules[-1],
        low_j=min(codecarbon[-1], *(m.low_j for m in envelope)),
        high_j=max(codecarbon[-1], *(m.high_j for m in envelope)),
        interval="published_models",
        method=billing.method,
        source=facts.source if by_model is None else model.name,
        corrections=billing.corrections if by_model is None else (),
        models={"codecarbon": _point(codecarbon[-1]), **_figures(envelope)},
        excluded=_excluded(readings, raw[-1], billing, a),
    )
    return Part(
        component=component,
        joules=joules,
        idle_w=cpu_idle_w(host, facts, a if by_model is not None else _codecarbons(a)),
        net_j=_modelled_net_j(readings, codecarbon[-1], envelope, a),
        codes=_cpu_codes(billing, by_specpower=by_model is not None),
    )


def _codecarbons(a: AssumptionSet) -> AssumptionSet:
    """The same constants with codecarbon's figures as central ones."""
    return replace(a, central="codecarbon")


def _modelled_net_j(
    readings: Readings, codecarbon_j: float, envelope: Sequence[ModelEnergy], a: AssumptionSet
) -> tuple[float, float]:
    """The envelope of what each model says above its own idle power."""
    low_j = min(model.net_low_j for model in envelope)
    high_j = max(model.net_high_j for model in envelope)
    facts = readings.meter.cpu
    idle_w = _codecarbon_idle_w(facts, _billing(readings.host, facts), a)
    if idle_w is None:
        return low_j, high_j
    net_j = codecarbon_j - idle_w * series.times(readings)[-1]
    return min(low_j, net_j), max(high_j, net_j)


def _cpu_codes(billing: _Billing, *, by_specpower: bool) -> tuple[str, ...]:
    """SPECpower scales by threads, so that it needs no share of a socket, but the generation."""
    if by_specpower:
        known = billing.generation is not None
        return ("cpu_power_modelled" if known else "cpu_generation_unknown",)
    modelled = "cpu_power_guessed" if billing.guessed else "cpu_power_modelled"
    return (modelled,) if billing.share is not None else (modelled, "socket_share_unknown")


def _point(joules: float) -> ModelFigure:
    return ModelFigure(energy_j=joules, low_j=joules, high_j=joules)


def _figures(envelope: Sequence[ModelEnergy]) -> dict[str, ModelFigure]:
    return {
        model.name: ModelFigure(energy_j=model.central_j, low_j=model.low_j, high_j=model.high_j)
        for model in envelope
    }


def _centrals(envelope: Sequence[ModelEnergy]) -> dict[str, float]:
    return {model.name: model.central_j for model in envelope if model.central_j is not None}


def _corrections(
    host: HostFacts, facts: ComponentFacts, share: float | None, known_w: float | None
) -> tuple[Correction, ...]:
    """The user's TDP, the host's share of known sockets, or the guess billed once."""
    sockets = facts.sockets or 1
    if facts.tdp_guessed and known_w is not None:
        return _known_tdp(host, facts, known_w)
    if facts.tdp_guessed and sockets > 1:
        message = (
            "codecarbon's guess of 4 W a thread holds all threads of the machine, and is billed "
            f"again for each of the {sockets} sockets that it shows"
        )
        return (Correction(name=GUESS_PER_SOCKET, factor=1 / sockets, message=message),)
    found: tuple[Correction, ...] = ()
    if known_w is not None and host.known.cpu_tdp_w is not None:
        billed = processors.billed_sockets(host, facts)
        found = _known_tdp(host, facts, host.known.cpu_tdp_w * billed)
    return (*found, *_socket_share(host, share))


def _known_tdp(host: HostFacts, facts: ComponentFacts, known_w: float) -> tuple[Correction, ...]:
    """Known over billed watts, where they differ: models of codecarbon are linear in the TDP."""
    if not facts.tdp_w or known_w == facts.tdp_w:
        return ()
    message = (
        f"codecarbon bills {'a guess of ' if facts.tdp_guessed else ''}{facts.tdp_w:g} W; by "
        f"TRAINWATT_CPU_TDP_W, {host.known.cpu_tdp_w:g} W a socket, it is {known_w:.4g} W"
    )
    return (Correction(name=KNOWN_TDP, factor=known_w / facts.tdp_w, message=message),)


def _socket_share(host: HostFacts, share: float | None) -> tuple[Correction, ...]:
    if share is None or share == 1.0:
        return ()
    message = (
        f"codecarbon bills whole sockets of {host.cpu_model}; this virtual machine has "
        f"{host.host_cpus} CPUs, {share:.1%} of their threads"
    )
    return (Correction(name="socket_share", factor=share, message=message),)


def _excluded(
    readings: Readings, raw_j: float, billing: _Billing, a: AssumptionSet
) -> tuple[ExcludedModel, ...]:
    """What would bill a whole socket to a part of it, or a guess more than once."""
    host, tdp_w, share = readings.host, readings.meter.cpu.tdp_w, billing.share
    if any(correction.name == GUESS_PER_SOCKET for correction in billing.corrections):
        message = "it bills a guess for the whole machine once for every socket"
        name = "codecarbon, guess for every socket"
        return (ExcludedModel(name=name, energy_j=raw_j, message=message),)
    if share is None and tdp_w is not None:
        loads = series.loads(readings)
        whole = _centrals([energy(m, loads) for m in tdp_models(host, tdp_w, a)])
        message = "it would bill a whole socket; which share this virtual machine has is not known"
        return tuple(
            ExcludedModel(name=f"{name}, whole socket", energy_j=joules, message=message)
            for name, joules in whole.items()
        )
    if share is None or share == 1.0:
        return ()
    message = f"it bills whole sockets to a virtual machine that has {share:.1%} of their threads"
    return (ExcludedModel(name="codecarbon, whole socket", energy_j=raw_j, message=message),)


def _gpu(readings: Readings, a: AssumptionSet) -> Part:
    """Devices with a sensor by their counter, those without by a share of their TDP."""
    facts = readings.meter.gpu
    counter = [reading.gpu_j for reading in readings.readings]
    tdp_w = facts.tdp_w if facts.method in MODELLED else None
    if tdp_w is not None and all(joules is None for joules in counter):
        counter = [0.0] * len(counter)  # no device has a sensor
    joules = _counted("gpu", facts, readings, counter)
    if isinstance(joules, Part):
        return joules
    if tdp_w is None:
        return _sensor(
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
    joules = _counted("ram", facts, readings, [r.ram_j for r in readings.readings])
    if isinstance(joules, Part):
        return joules
    duration_s = series.times(readings)[-1]
    if facts.method is Method.MEASURED:
        return _sensor(facts, joules, a.ram_sensor_error, idle_w=None, duration_s=duration_s)
    return _modelled_ram(readings, joules, a)


def _modelled_ram(readings: Readings, raw: tuple[float, ...], a: AssumptionSet) -> Part:
    """A flat power by size: codecarbon's, or watts a GB of the assumptions."""
    facts, host, t_s = readings.meter.ram, readings.host, series.times(readings)
    low_j = a.ram_low_w_per_gb * _gigabytes(host) * t_s[-1]
    high_j = a.ram_high_w_per_gib * host.memory_gib * t_s[-1]
    published = {
        f"{name}, {rate:g} W/GB": _point(rate * _gigabytes(host) * t_s[-1])
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
            "codecarbon": _point(raw[-1]),
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
