"""What a host uses without a job, and what a job used above that."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.accounting import cpu
from app.accounting.assumptions import DEFAULT
from app.accounting.components import ram_idle_w
from app.accounting.parts import Part, Parts
from app.domain.readings import HostFacts, IdlePower, MeterFacts, Method
from app.domain.reports import Baseline

UNREADABLE = frozenset({Method.ABSENT, Method.UNAVAILABLE})
NO_BASELINE = Baseline(power_w=None, energy_j=None, method=Method.UNAVAILABLE, window_s=None)


@dataclass(frozen=True, kw_only=True)
class Net:
    """Joules above the baseline with their interval; null where there is no baseline."""

    energy_j: float | None = None
    low_j: float | None = None
    high_j: float | None = None


def of_parts(found: Parts, idle: IdlePower | None, duration_s: float) -> Baseline:
    """The baseline of a run: idle power of the components that are in its total, times its length.

    A sensor's idle power is that of the idle window, a model's is its own; unavailable where one of
    them is not known.

    Args:
        found: the components of the run.
        idle: the idle window that was known when the run began; null: none.
        duration_s: of the run, in seconds.
    """
    drawn = [(part.component.method, part.idle_w) for part in found.known]
    main = {part.component.method for part in (found.cpu, found.gpu) if part.joules is not None}
    guessed = not cpu.GUESSES.isdisjoint(found.cpu.codes)
    baseline = _baseline(drawn, main, idle, guessed=guessed)
    if baseline.power_w is None:
        return baseline
    return baseline.model_copy(update={"energy_j": baseline.power_w * duration_s})


def of_host(host: HostFacts, meter: MeterFacts, idle: IdlePower | None) -> Baseline:
    """A host's idle power, of all of its components that can be read; no energy, since no time.

    Args:
        host: the hardware.
        meter: how its components are read.
        idle: its newest idle window; null: none.
    """
    by_sensor = {} if idle is None else {"cpu": idle.cpu_w, "gpu": idle.gpu_w}
    by_model = {
        "cpu": cpu.idle_w(host, meter.cpu, DEFAULT),
        "ram": ram_idle_w(host, meter.ram, DEFAULT),
    }
    methods = {"cpu": meter.cpu.method, "gpu": meter.gpu.method, "ram": meter.ram.method}
    readable = {name: method for name, method in methods.items() if method not in UNREADABLE}
    drawn = [
        (method, (by_sensor if method is Method.MEASURED else by_model).get(name))
        for name, method in readable.items()
    ]
    main = {method for name, method in readable.items() if name != "ram"}
    guessed = cpu.guessed(host, meter.cpu, DEFAULT)
    return _baseline(drawn, main, idle, guessed=guessed)


def _baseline(
    drawn: Sequence[tuple[Method, float | None]],
    main: set[Method],
    idle: IdlePower | None,
    *,
    guessed: bool,
) -> Baseline:
    """The sum of idle powers, measured where no CPU or GPU of it is modelled.

    Args:
        drawn: method and idle power in watts of every component.
        main: the methods of CPU and GPU; a flat power, as of the RAM, is in total and baseline.
        idle: the idle window; null: none.
        guessed: whether a CPU without a sensor has a guess for a figure.
    """
    known_w = [idle_w for _, idle_w in drawn if idle_w is not None]
    if not drawn or len(known_w) < len(drawn):
        return NO_BASELINE
    measured = any(method is Method.MEASURED for method, _ in drawn)
    modelled = Method.ASSUMED if guessed else Method.ESTIMATED
    window = idle if measured else None
    return Baseline(
        power_w=sum(known_w),
        energy_j=None,
        method=Method.MEASURED if measured and main == {Method.MEASURED} else modelled,
        window_s=None if window is None else window.window_s,
        taken_at=None if window is None else window.taken_at,
        others_share=None if window is None else window.others_share,
        service_share=None if window is None else window.service_share,
        gpu_utilization=None if window is None else window.gpu_utilization,
    )


def above_idle(total_j: float | None, baseline: Baseline, known: Iterable[Part]) -> Net:
    """Energy above the baseline; not below 0, where the host drew less than its idle figure.

    Ends add to ends. Of a sensor, both readings are off by the same factor, and so is their
    difference; of a model, each one's own idle power is taken from its own figure; a flat power
    cancels.

    Args:
        total_j: of the run; null without a figure.
        baseline: of the run.
        known: the components in the total.
    """
    if total_j is None or baseline.energy_j is None:
        return Net()
    energy_j = max(0.0, total_j - baseline.energy_j)
    ends = [part.net_j for part in known if part.net_j is not None]
    return Net(
        energy_j=energy_j,
        low_j=min(energy_j, max(0.0, sum(low_j for low_j, _ in ends))),
        high_j=max(energy_j, sum(high_j for _, high_j in ends)),
    )
