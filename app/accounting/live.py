"""Power between two readings of an attempt that still runs, as its report will show it.

A component's joules follow its counter with a factor and a flat power that depend on the host
alone, so they are taken once an attempt from the same accounting, and a sample costs nothing.
"""

from dataclasses import dataclass

from app.accounting.assumptions import DEFAULT
from app.accounting.components import parts
from app.accounting.parts import Part, Parts
from app.domain.events import PowerSample
from app.domain.readings import Reading, Readings


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How one component's power follows from its counter.

    Attributes:
        factor: what a joule of the counter counts; null where the component has no figure.
        flat_w: watts on top.
        uncounted_w: watts where nothing counts; null: not known then.
    """

    factor: float | None
    flat_w: float
    uncounted_w: float | None

    def watts(
        self, before_j: float | None, after_j: float | None, duration_s: float
    ) -> float | None:
        """Mean power over a time with these counters at its ends; null where it is not known."""
        if before_j is None and after_j is None:
            return self.uncounted_w
        if self.factor is None or before_j is None or after_j is None or after_j < before_j:
            return None
        return self.flat_w + self.factor * (after_j - before_j) / duration_s


class LivePower:
    """The power of one attempt, sample by sample."""

    def __init__(self, readings: Readings) -> None:
        """Take the factors from what is known of an attempt before its readings."""
        nothing, still, moving = (_after_a_second(readings, j) for j in (None, 0.0, 1.0))
        self._attempt = readings.attempt
        self._cpu = _scale(nothing.cpu, still.cpu, moving.cpu)
        self._gpu = _scale(nothing.gpu, still.gpu, moving.gpu)
        self._ram = _scale(nothing.ram, still.ram, moving.ram)

    def sample(self, before: Reading, after: Reading) -> PowerSample:
        """Mean power from one reading to a later one."""
        duration_s = after.t_s - before.t_s
        return PowerSample(
            attempt=self._attempt,
            t_s=before.t_s,
            cpu_w=self._cpu.watts(before.cpu_j, after.cpu_j, duration_s),
            gpu_w=self._gpu.watts(before.gpu_j, after.gpu_j, duration_s),
            ram_w=self._ram.watts(before.ram_j, after.ram_j, duration_s),
        )


def _after_a_second(readings: Readings, joules: float | None) -> Parts:
    """The accounting of one second in which every counter counts so many joules, or is null."""
    begin_j = None if joules is None else 0.0
    second = (
        Reading(t_s=0.0, cpu_j=begin_j, gpu_j=begin_j, ram_j=begin_j),
        Reading(t_s=1.0, cpu_j=joules, gpu_j=joules, ram_j=joules),
    )
    return parts(readings.model_copy(update={"readings": second}), DEFAULT)


def _scale(nothing: Part, still: Part, moving: Part) -> Scale:
    flat_w = _last(still) or 0.0
    counted_w = _last(moving)
    return Scale(
        factor=None if counted_w is None else counted_w - flat_w,
        flat_w=flat_w,
        uncounted_w=_last(nothing),
    )


def _last(part: Part) -> float | None:
    return None if part.joules is None else part.joules[-1]
