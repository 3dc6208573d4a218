"""What a component is before it stands in a report, and what sensors and counters make of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.accounting import series
from app.accounting.series import Fault
from app.domain.readings import ComponentFacts, Method, Readings
from app.domain.reports import Component, ModelFigure

POWER_SAMPLES = "power samples"  # in the source of GPUs without an energy counter
TOO_SHORT_S = 0.3  # measurement.md's goal of ≤ 0.5 % holds from here up


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


def counted(
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


def measured(
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


def point(joules: float) -> ModelFigure:
    """A model that states no range."""
    return ModelFigure(energy_j=joules, low_j=joules, high_j=joules)
