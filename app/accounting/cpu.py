"""The energy of the CPU: by its sensor, or by published models at its share of a socket."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from app.accounting.parts import Part, counted, measured, point
from app.domain.readings import ComponentFacts, HostFacts, Method, Readings
from app.domain.reports import Component, Correction, ExcludedModel, ModelFigure

GUESS_PER_SOCKET = "guess_per_socket"
KNOWN_TDP = "known_tdp"
WHOLE_SOCKET = "billed for whole sockets: which share of them this virtual machine has is not known"
GUESSES = frozenset({"cpu_power_guessed", "cpu_generation_unknown"})  # no fact of the CPU in it


def cpu(readings: Readings, a: AssumptionSet) -> Part:
    """The CPU of an attempt under a set of assumptions."""
    facts, host = readings.meter.cpu, readings.host
    joules = counted("cpu", facts, readings, [r.cpu_j for r in readings.readings])
    if isinstance(joules, Part):
        return joules
    if facts.method is not Method.MEASURED:
        return _modelled_cpu(readings, joules, a)
    part = measured(
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


def idle_w(host: HostFacts, facts: ComponentFacts, a: AssumptionSet) -> float | None:
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


def guessed(host: HostFacts, facts: ComponentFacts, a: AssumptionSet) -> bool:
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
        reason=WHOLE_SOCKET if by_model is None and billing.share is None else None,
        corrections=billing.corrections if by_model is None else (),
        models={"codecarbon": point(codecarbon[-1]), **_figures(envelope)},
        excluded=_excluded(readings, raw[-1], billing, a),
    )
    return Part(
        component=component,
        joules=joules,
        idle_w=idle_w(host, facts, a if by_model is not None else _codecarbons(a)),
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
