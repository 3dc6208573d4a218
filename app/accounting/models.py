"""Published power models of a CPU without a sensor, at the components boundary of this host."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.accounting import processors, series
from app.accounting.assumptions import AssumptionSet, PowerPoints, ServerRow
from app.accounting.series import Load, interpolate
from app.domain.readings import HostFacts, Readings

SPECPOWER = "SPECpower"
CCF = "Cloud Carbon Footprint"
GREEN_ALGORITHMS = "Green Algorithms"
TDP_TABLE = "TDP × load table"
BOAVIZTA = "Boavizta"


@dataclass(frozen=True, kw_only=True)
class PowerModel:
    """Watts of the host's CPUs by load, on lines that rise: low, central and high."""

    name: str
    low: PowerPoints
    central: PowerPoints
    high: PowerPoints


@dataclass(frozen=True, kw_only=True)
class ModelEnergy:
    """Joules of one model; `central_j` is null where no load at all was counted.

    `net_low_j` and `net_high_j` are what its lines say above their own idle power.
    """

    name: str
    low_j: float
    central_j: float | None
    high_j: float
    net_low_j: float
    net_high_j: float


def models(
    host: HostFacts, generation: str | None, tdp_w: float | None, assumptions: AssumptionSet
) -> tuple[PowerModel, ...]:
    """Every published model that applies to the host.

    Args:
        host: the hardware under the measurement.
        generation: the row of the SPECpower table, null: its row for unknown CPUs.
        tdp_w: the known TDP of the host's share of its sockets, null where it is not known.
        assumptions: the constants.
    """
    found = [specpower(host, generation, assumptions), _ccf(host, assumptions)]
    if tdp_w is None:
        return (*found, _green_algorithms_by_core(host, assumptions))
    return (*found, *tdp_models(host, tdp_w, assumptions))


def tdp_models(host: HostFacts, tdp_w: float, assumptions: AssumptionSet) -> tuple[PowerModel, ...]:
    """The models that rest on a known TDP, in watts of the whole host."""
    return (
        _green_algorithms(tdp_w),
        _tdp_table(host, tdp_w, assumptions),
        _boavizta(tdp_w, assumptions),
    )


def specpower(host: HostFacts, generation: str | None, a: AssumptionSet) -> PowerModel:
    """SPECpower by generation, or the row of every EPYC and Xeon together.

    In a virtual machine a vCPU may be a whole core (high end), unless the user says which. A
    desktop's or laptop's CPU is in no row: it has the row of all, whose width holds it, under a
    name that says that the row is of servers.
    """
    row: ServerRow = a.specpower[generation] if generation else a.specpower_unknown
    unsure = host.virtual_machine and host.known.vcpu_is_core is None
    widest = a.whole_core_factor if unsure else 1.0
    threads = processors.threads(host)
    high = _from_wall(threads, ((0, row.idle_high_w), (1, row.full_high_w)), threads, a)
    unknown = "servers in general" if processors.of_a_client(host) else "unknown CPU"
    return PowerModel(
        name=f"{SPECPOWER}, {generation or unknown}",
        low=_from_wall(threads, ((0, row.idle_low_w), (1, row.full_low_w)), threads, a),
        central=_from_wall(threads, ((0, row.idle_w), (1, row.full_w)), threads, a, falls=True),
        high=tuple((load, watts * widest) for load, watts in high),
    )


def _ccf(host: HostFacts, a: AssumptionSet) -> PowerModel:
    threads = processors.threads(host)
    points = _from_wall(threads, ((0, a.ccf_idle_w), (1, a.ccf_full_w)), threads, a)
    return PowerModel(name=CCF, low=points, central=points, high=points)


def _green_algorithms(tdp_w: float) -> PowerModel:
    """Green Algorithms bills TDP × usage, with no idle power."""
    points = ((0.0, 0.0), (1.0, tdp_w))
    return PowerModel(name=GREEN_ALGORITHMS, low=points, central=points, high=points)


def _green_algorithms_by_core(host: HostFacts, a: AssumptionSet) -> PowerModel:
    """Its users count each CPU as a core, which is the high end; the low end: threads share one."""
    whole_w = host.host_cpus * a.green_algorithms_core_w
    points = ((0.0, 0.0), (1.0, whole_w))
    sharing = 1 if processors.whole_cores(host) else a.threads_per_core
    shared = ((0.0, 0.0), (1.0, whole_w / sharing))
    return PowerModel(name=GREEN_ALGORITHMS, low=shared, central=points, high=points)


def _tdp_table(host: HostFacts, tdp_w: float, a: AssumptionSet) -> PowerModel:
    """Server AC over TDP by load, brought to the components boundary."""
    threads = processors.threads(host)
    return PowerModel(
        name=TDP_TABLE,
        low=_from_wall(tdp_w, a.tdp_share_low, threads, a),
        central=_from_wall(tdp_w, a.tdp_share, threads, a, falls=True),
        high=_from_wall(tdp_w, a.tdp_share_high, threads, a),
    )


def _boavizta(tdp_w: float, a: AssumptionSet) -> PowerModel:
    """Boavizta's curve is of the CPU alone, so that nothing is taken off."""
    points = tuple((load, share * tdp_w) for load, share in a.boavizta_tdp_share)
    return PowerModel(name=BOAVIZTA, low=points, central=points, high=points)


def _from_wall(
    factor: float, points: PowerPoints, threads: int, a: AssumptionSet, *, falls: bool = False
) -> PowerPoints:
    """Wall watts × factor as component watts: ÷ 1.33, and the servers' RAM taken off once.

    Args:
        factor: on the points' watts, or their shares.
        points: of the wall, by load.
        threads: hardware threads, each with its RAM.
        a: the constants.
        falls: whether the RAM draws less with less load, as in the central curves.
    """
    gb, busy_w = threads * a.server_ram_gb_per_thread, a.server_ram_w_per_gb
    idle_w = a.ram_low_w_per_gb if falls else busy_w
    ram_w = ((0.0, gb * idle_w), (1.0, gb * busy_w))
    return tuple(
        (load, factor * watts / a.wall_factor - interpolate(ram_w, load)) for load, watts in points
    )


def energy(model: PowerModel, loads: Sequence[Load]) -> ModelEnergy:
    """A model's joules over the loads; where the load is not known, from no load to full load.

    The high line takes off more RAM than the central one at little load: the higher of both counts.
    """
    usual = _usual_load(loads)
    central_j = None if usual is None else _sum_j(model.central, loads, usual)
    lines = (model.low, model.central, model.high)
    return ModelEnergy(
        name=model.name,
        low_j=_sum_j(model.low, loads, 0.0),
        central_j=central_j,
        high_j=max(_sum_j(model.high, loads, 1.0), central_j or 0.0),
        net_low_j=min(_net_j(line, loads, 0.0) for line in lines),
        net_high_j=max(_net_j(line, loads, 1.0) for line in lines),
    )


def _sum_j(points: PowerPoints, loads: Sequence[Load], otherwise: float) -> float:
    """Joules of a line over the loads; `otherwise`: the load where it is not known."""
    return sum(_joules(points, span, otherwise) for span in loads)


def _net_j(points: PowerPoints, loads: Sequence[Load], otherwise: float) -> float:
    """Joules of a line above its own idle power."""
    idle_w = watts(points, 0.0)
    return sum(_joules(points, span, otherwise) - idle_w * span.duration_s for span in loads)


def _joules(points: PowerPoints, span: Load, otherwise: float) -> float:
    return watts(points, otherwise if span.load is None else span.load) * span.duration_s


def watts(points: PowerPoints, load: float) -> float:
    """The power of a line at a load; a line under 0 W (RAM taken off) is cut there."""
    return max(0.0, interpolate(points, load))


def cumulative(model: PowerModel, readings: Readings) -> tuple[float, ...] | None:
    """A model's central joules since the first reading, at every reading.

    Where the load is not known, it is the mean of what is; null where none was counted at all.
    """
    loads = series.loads(readings)
    usual = _usual_load(loads)
    if usual is None:
        return None
    total_j = _sum_j(model.central, loads, usual)  # as in the interval, to the last digit
    points, t_s, joules = [(0.0, 0.0)], 0.0, 0.0
    for span in loads:
        t_s, joules = t_s + span.duration_s, joules + _joules(model.central, span, usual)
        points.append((t_s, joules))
    between = [min(interpolate(points, t), total_j) for t in series.times(readings)[1:-1]]
    return (0.0, *between, total_j)


def _usual_load(loads: Sequence[Load]) -> float | None:
    """The mean load of the spans in which it was counted."""
    known = [(span.duration_s, span.load) for span in loads if span.load is not None]
    total_s = sum(duration_s for duration_s, _ in known)
    return sum(duration_s * load for duration_s, load in known) / total_s if total_s else None
