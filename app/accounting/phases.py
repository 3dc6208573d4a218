"""Phases that tile a run, what each achieved, and the power between two readings."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.accounting import series
from app.accounting.parts import Part, Parts
from app.domain.readings import Phase, Readings
from app.domain.reports import PhaseReport, PowerSeries


@dataclass(frozen=True, kw_only=True)
class Span:
    """A phase between two readings, with its energy and the facts that its end brought.

    `facts` is null for a phase that was cut: no mark ended it.
    """

    name: Phase
    index: int | None
    start_s: float
    duration_s: float
    energy_j: float | None
    facts: Mapping[str, Any] | None = field(default=None)


def spans(readings: Readings, parts: Parts) -> tuple[Span, ...]:
    """The phases in order; one that begins at the last reading took no time and is left out."""
    t_s, items = series.times(readings), readings.readings
    starts = [0, *(n for n, item in enumerate(items) if n > 0 and item.begins is not None)]
    ends = [*starts[1:], len(items) - 1]
    return tuple(
        Span(
            name=items[start].begins or Phase.SETUP,
            index=items[start].index,
            start_s=t_s[start],
            duration_s=t_s[end] - t_s[start],
            energy_j=_energy_j(parts, start, end),
            facts=items[end].ended if items[end].begins is not None else None,
        )
        for start, end in zip(starts, ends, strict=True)
        if end > start
    )


def _energy_j(parts: Parts, start: int, end: int) -> float | None:
    known = [part.joules for part in parts.known if part.joules is not None]
    return sum(joules[end] - joules[start] for joules in known) if known else None


def number(facts: Mapping[str, Any] | None, name: str) -> float | None:
    """A fact as a finite number; null where it is missing, not a number, or a diverged loss."""
    value = (facts or {}).get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= sys.float_info.max else None  # an int may be larger


def whole(facts: Mapping[str, Any] | None, name: str) -> int | None:
    """A fact that counts something; null where it is missing, not a number, or below 0."""
    value = number(facts, name)
    return None if value is None or value < 0 else int(value)


def share(facts: Mapping[str, Any] | None, name: str) -> float | None:
    """A fact that is a share, as an accuracy; null where it is missing or not from 0 to 1."""
    value = number(facts, name)
    return None if value is None or not 0 <= value <= 1 else value


def finished(spans_: tuple[Span, ...]) -> tuple[Span, ...]:
    """The epochs that trained to their end: a cut one is left out, so that figures agree."""
    return tuple(s for s in spans_ if s.name is Phase.EPOCH and whole(s.facts, "samples"))


def validation_accuracies(spans_: tuple[Span, ...]) -> dict[int, float]:
    """The validation accuracy of each epoch that was validated."""
    found = {
        span.index: share(span.facts, "validation_accuracy")
        for span in spans_
        if span.name is Phase.VALIDATION and span.index is not None
    }
    return {epoch: accuracy for epoch, accuracy in found.items() if accuracy is not None}


_LOSSES = {
    Phase.EPOCH: "loss",
    Phase.VALIDATION: "validation_loss",
    Phase.EVALUATION: "test_loss",
}


def reports(spans_: tuple[Span, ...]) -> tuple[PhaseReport, ...]:
    """The phases as the report lists them.

    `loss` is the phase's own: of training, validation or test. An epoch carries the accuracy of the
    validation that follows it.
    """
    accuracies = validation_accuracies(spans_)
    return tuple(
        PhaseReport(
            name=span.name,
            index=span.index,
            start_s=span.start_s,
            duration_s=span.duration_s,
            energy_j=span.energy_j,
            samples=whole(span.facts, "samples") if span.name is Phase.EPOCH else None,
            loss=number(span.facts, _LOSSES[span.name]) if span.name in _LOSSES else None,
            train_accuracy=share(span.facts, "train_accuracy"),
            validation_accuracy=_accuracy(span, accuracies),
        )
        for span in spans_
    )


def _accuracy(span: Span, accuracies: Mapping[int, float]) -> float | None:
    if span.index is None or span.name not in {Phase.EPOCH, Phase.VALIDATION}:
        return None
    return accuracies.get(span.index)


def power(readings: Readings, parts: Parts) -> PowerSeries:
    """Mean watts of each component between readings; watts × seconds add up to its joules."""
    t_s = series.times(readings)
    nodes = _nodes(t_s)
    return PowerSeries(
        t_s=tuple(t_s[n] for n in nodes[:-1]),
        cpu_w=_watts(parts.cpu, t_s, nodes),
        gpu_w=_watts(parts.gpu, t_s, nodes),
        ram_w=_watts(parts.ram, t_s, nodes),
    )


def _nodes(t_s: tuple[float, ...]) -> list[int]:
    """Readings that bound intervals: of those at one time the last, at the very start the first."""
    last_at = {t: n for n, t in enumerate(t_s)}
    return [0, *(n for t, n in last_at.items() if t > t_s[0])]


def _watts(part: Part, t_s: tuple[float, ...], nodes: list[int]) -> tuple[float | None, ...]:
    pairs = list(zip(nodes, nodes[1:], strict=False))
    if part.joules is None:
        return (None,) * len(pairs)
    joules = part.joules
    return tuple((joules[b] - joules[a]) / (t_s[b] - t_s[a]) for a, b in pairs)
