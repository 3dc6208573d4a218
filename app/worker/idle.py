"""Idle power from a window in which the host did nothing: what the sensors counted in it."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from statistics import fmean

from app.accounting.conditions import BUSY_SHARE
from app.domain.readings import IDLE_MOST_W, ComponentFacts, IdlePower, MeterFacts, Method
from app.metering.meter import Energies
from app.worker.load_monitor import LoadMonitor, Look

STEP_S = 0.5  # in which the counter of a sensor that lives has risen
SLACK_S = 0.5  # by which a window of the length that is asked for may be shorter
GAP_S = 5.0  # without a sample: the host slept, or something else had the meter


@dataclass(frozen=True, slots=True)
class Sample:
    """The energy counters, and who used the CPUs up to then."""

    look: Look
    cpu_j: float | None
    gpu_j: float | None
    gpu_utilization: float | None = None  # from 0 to 1


def has_sensor(meter: MeterFacts) -> bool:
    """Whether a sensor counts a component, so that its idle power can be measured."""
    return Method.MEASURED in {meter.cpu.method, meter.gpu.method}


def is_whole(meter: MeterFacts, idle: IdlePower) -> bool:
    """Whether every sensor has its figure, of a time in which nobody kept CPUs or GPUs busy."""
    shares = (idle.others_share, idle.service_share, idle.gpu_utilization)
    return not lacking(meter, idle) and max(share or 0.0 for share in shares) <= BUSY_SHARE


def lacking(meter: MeterFacts, idle: IdlePower | None) -> tuple[str, ...]:
    """The components that a sensor counts and that have no figure."""
    cpu_w, gpu_w = (None, None) if idle is None else (idle.cpu_w, idle.gpu_w)
    found = (("CPU", meter.cpu, cpu_w), ("GPU", meter.gpu, gpu_w))
    return tuple(n for n, facts, w in found if facts.method is Method.MEASURED and w is None)


class Window:
    """The newest samples of a host without a job, a window's length of them.

    A time in which others or the service were busy moves out of it at its other end.
    """

    def __init__(self, meter: MeterFacts, load: LoadMonitor, length_s: float) -> None:
        """Nothing is sampled yet."""
        self._meter, self._load, self._length_s = meter, load, length_s
        self._samples: deque[Sample] = deque()

    def add(self, look: Look, energies: Energies, gpu_utilization: float | None = None) -> None:
        """Add what was read at a look; after a gap the window begins anew."""
        samples = self._samples
        if samples and look.t_s - samples[-1].look.t_s > GAP_S:
            samples.clear()
        samples.append(
            Sample(
                look=look,
                cpu_j=energies.cpu_j,
                gpu_j=energies.gpu_j,
                gpu_utilization=gpu_utilization,
            )
        )
        while len(samples) > 1 and look.t_s - samples[1].look.t_s >= self._length_s:
            samples.popleft()

    @property
    def span_s(self) -> float:
        """How much of it there is."""
        looks = [sample.look.t_s for sample in self._samples]
        return looks[-1] - looks[0] if looks else 0.0

    def clear(self) -> None:
        """Begin anew."""
        self._samples.clear()

    def idle(self, least_s: float, *, disturbed: bool = False) -> IdlePower | None:
        """The idle power over the longest part up to now that is long enough, quiet and readable.

        Args:
            least_s: seconds that it must cover.
            disturbed: whether it is taken although others or the service were busy meanwhile.
        """
        samples = tuple(self._samples)
        for start, first in enumerate(samples):
            if samples[-1].look.t_s - first.look.t_s < least_s:
                return None
            found = self._over(samples[start:])
            if disturbed and (found.cpu_w, found.gpu_w) != (None, None):
                return found
            if is_whole(self._meter, found):
                return found
        return None

    def _over(self, samples: Sequence[Sample]) -> IdlePower:
        first, last = samples[0].look, samples[-1].look
        others, service = self._load.shares(first, last)
        times_s = [sample.look.t_s for sample in samples]
        return IdlePower(
            taken_at=datetime.now(UTC),
            window_s=round(last.t_s - first.t_s, 3),
            cpu_w=_power_w(self._meter.cpu, times_s, [sample.cpu_j for sample in samples]),
            gpu_w=_power_w(self._meter.gpu, times_s, [sample.gpu_j for sample in samples]),
            # clocks differ a little, so that a share may be above 1
            others_share=min(1.0, round(others, 6)),
            service_share=min(1.0, round(service, 6)),
            gpu_utilization=_mean([sample.gpu_utilization for sample in samples]),
        )


def _mean(shares: Sequence[float | None]) -> float | None:
    """The mean of those that are known; null where none is."""
    known = [share for share in shares if share is not None]
    return min(1.0, round(fmean(known), 6)) if known else None


def _power_w(
    facts: ComponentFacts, times_s: Sequence[float], joules: Sequence[float | None]
) -> float | None:
    """Mean power of a component.

    Null where no sensor counts it, or its counter stood still, fell (it was reset, or jumped), or
    rose by more than any host draws.
    """
    known = [value for value in joules if value is not None]
    if facts.method is not Method.MEASURED or len(known) < len(times_s):
        return None
    if any(after < before for before, after in pairwise(known)):
        return None
    step = 0
    for here in range(1, len(known)):
        if times_s[here] - times_s[step] < STEP_S:
            continue
        if known[here] <= known[step]:
            return None
        step = here
    power_w = (known[-1] - known[0]) / (times_s[-1] - times_s[0]) if step else 0.0
    return round(power_w, 6) if 0 < power_w <= IDLE_MOST_W else None
