"""The energy of each component: raw joules, named corrections, interval, and why there is none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.accounting import processors, series
from app.accounting.assumptions import AssumptionSet
from app.accounting.models import ModelEnergy, energy, models, tdp_models
from app.accounting.series import Fault
from app.domain.readings import ComponentFacts, HostFacts, Method, Readings
from app.domain.reports import Component, Correction, ExcludedModel, ModelFigure

GUESS_PER_SOCKET = "guess_per_socket"
GB_PER_GIB = 2**30 / 1e9
TOO_SHORT_S = 0.3  # measurement.md's goal of ≤ 0.5 % holds from here up
MODELLED = frozenset({Method.ESTIMATED, Method.ASSUMED})


@dataclass(frozen=True, kw_only=True)
class Part:
    """A component's energy with what the rest of the report needs of it.

    Attributes:
        component: as it stands in the report.
        joules: corrected joules since the first reading, at every reading; null without a figure.
        raw_j: codecarbon's own joules of the window, without corrections, even where we give no
            figure; null where its counter is not known at both ends.
        idle_w: what the model bills at no load; null where no model stands behind the figure.
        codes: reason codes of `trust.REASONS`.
    """

    component: Component
    joules: tuple[float, ...] | None = None
    raw_j: float | None = None
    idle_w: float | None = None
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
    name: str, facts: ComponentFacts, readings: Readings, counter: Sequence[float | None]
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
    joules = series.cumulative(t_s, counter, sensor=facts.method is Method.MEASURED)
    if isinstance(joules, Fault):
        return without_figure(
            Method.UNAVAILABLE, joules.code, source=facts.source, reason=joules.reason
        )
    return joules


def _sensor(
    facts: ComponentFacts, joules: tuple[float, ...], error: float, codes: tuple[str, ...] = ()
) -> Part:
    """A measured component: ± the sensor's stated error."""
    component = Component(
        energy_j=joules[-1],
        low_j=joules[-1] * (1 - error),
        high_j=joules[-1] * (1 + error),
        interval="sensor_error",
        method=Method.MEASURED,
        source=facts.source,
    )
    return Part(component=component, joules=joules, codes=codes)


def _cpu(readings: Readings, a: AssumptionSet) -> Part:
    facts, host = readings.meter.cpu, readings.host
    joules = _counted("cpu", facts, readings, [r.cpu_j for r in readings.readings])
    if isinstance(joules, Part):
        return joules
    if facts.method is Method.MEASURED:
        error = a.rapl_error.get(host.cpu_vendor or "", a.cpu_sensor_error)
        return _sensor(facts, joules, error)
    return _modelled_cpu(readings, joules, a)


def _modelled_cpu(readings: Readings, raw: tuple[float, ...], a: AssumptionSet) -> Part:
    """The model of codecarbon at the host's share, inside the published models' envelope."""
    facts, host = readings.meter.cpu, readings.host
    generation = processors.generation(host)
    share = processors.socket_share(host, facts)
    corrections = _corrections(host, facts, share)
    factor = math.prod(correction.factor for correction in corrections)
    central_j = raw[-1] * factor
    loads = series.loads(readings)
    known_tdp_w = facts.tdp_w if not facts.tdp_guessed else None
    share_tdp_w = None if known_tdp_w is None or share is None else known_tdp_w * share
    envelope = [energy(m, loads) for m in models(host, generation, share_tdp_w, a)]
    component = Component(
        energy_j=central_j,
        low_j=min(central_j, *(model.low_j for model in envelope)),
        high_j=max(central_j, *(model.high_j for model in envelope)),
        interval="published_models",
        method=Method.ESTIMATED if generation or known_tdp_w else Method.ASSUMED,
        source=facts.source,
        corrections=corrections,
        models={"codecarbon": _point(central_j), **_figures(envelope)},
        excluded=_excluded(readings, raw[-1], share, corrections, a),
    )
    idle_share = a.codecarbon_idle_share.get(facts.source or "")
    return Part(
        component=component,
        joules=tuple(joules * factor for joules in raw),
        idle_w=None
        if idle_share is None or facts.tdp_w is None
        else facts.tdp_w * idle_share * factor,
        codes=_cpu_codes(known_tdp_w, share),
    )


def _cpu_codes(known_tdp_w: float | None, share: float | None) -> tuple[str, ...]:
    modelled = "cpu_power_guessed" if known_tdp_w is None else "cpu_power_modelled"
    return (modelled,) if share is not None else (modelled, "socket_share_unknown")


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
    host: HostFacts, facts: ComponentFacts, share: float | None
) -> tuple[Correction, ...]:
    """The host's share of known sockets, or the guess billed once; never both."""
    sockets = facts.sockets or 1
    if facts.tdp_guessed and sockets > 1:
        message = (
            "codecarbon's guess of 4 W a thread holds all threads of the machine, and is billed "
            f"again for each of the {sockets} sockets that it shows"
        )
        return (Correction(name=GUESS_PER_SOCKET, factor=1 / sockets, message=message),)
    if share is None or share == 1.0:
        return ()
    message = (
        f"codecarbon bills whole sockets of {host.cpu_model}; this virtual machine has "
        f"{host.host_cpus} CPUs, {share:.1%} of their threads"
    )
    return (Correction(name="socket_share", factor=share, message=message),)


def _excluded(
    readings: Readings,
    raw_j: float,
    share: float | None,
    corrections: tuple[Correction, ...],
    a: AssumptionSet,
) -> tuple[ExcludedModel, ...]:
    """What would bill a whole socket to a part of it, or a guess more than once."""
    host, tdp_w = readings.host, readings.meter.cpu.tdp_w
    if any(correction.name == GUESS_PER_SOCKET for correction in corrections):
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
        return _sensor(facts, joules, _gpu_error(readings, a))
    return _gpu_by_tdp(readings, tdp_w, joules, a)


def _gpu_error(readings: Readings, a: AssumptionSet) -> float:
    """NVML's error: wide for chips that sample seldom, short runs, and power that is sampled."""
    sparse = any(chip in gpu for gpu in readings.host.gpus for chip in a.gpu_sparse_models)
    short = series.times(readings)[-1] < a.gpu_short_s
    sampled = "power samples" in (readings.meter.gpu.source or "")
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
    facts, host = readings.meter.ram, readings.host
    joules = _counted("ram", facts, readings, [r.ram_j for r in readings.readings])
    if isinstance(joules, Part):
        return joules
    if facts.method is Method.MEASURED:
        return _sensor(facts, joules, a.ram_sensor_error)
    duration_s = series.times(readings)[-1]
    low_j = a.ram_low_w_per_gb * host.memory_gib * GB_PER_GIB * duration_s
    high_j = a.ram_high_w_per_gib * host.memory_gib * duration_s
    by_size = f"{a.ram_low_w_per_gb:g} W/GB to {a.ram_high_w_per_gib:g} W/GiB by size"
    component = Component(
        energy_j=joules[-1],
        low_j=min(joules[-1], low_j),
        high_j=max(joules[-1], high_j),
        interval="published_models",
        method=Method.ASSUMED,
        source=facts.source,
        models={
            "codecarbon": _point(joules[-1]),
            by_size: ModelFigure(energy_j=None, low_j=low_j, high_j=high_j),
        },
    )
    return Part(
        component=component,
        joules=joules,
        idle_w=joules[-1] / duration_s if facts.constant_w is None else facts.constant_w,
        codes=("ram_power_assumed",),
    )
