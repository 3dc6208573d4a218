"""Published power models of a CPU without a sensor, at the components boundary of this host."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.accounting.assumptions import AssumptionSet, PowerPoints, ServerRow
from app.accounting.series import Load, interpolate
from app.domain.readings import HostFacts

SPECPOWER = "SPECpower"
CCF = "Cloud Carbon Footprint"
GREEN_ALGORITHMS = "Green Algorithms"
TDP_TABLE = "TDP × load table"


@dataclass(frozen=True, kw_only=True)
class PowerModel:
    """Watts of the host's CPUs by load, on lines that rise: low, central and high."""

    name: str
    low: PowerPoints
    central: PowerPoints
    high: PowerPoints


@dataclass(frozen=True, kw_only=True)
class ModelEnergy:
    """Joules of one model; `central_j` is null where no load at all was counted."""

    name: str
    low_j: float
    central_j: float | None
    high_j: float


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
    found = [_specpower(host, generation, assumptions), _ccf(host, assumptions)]
    if tdp_w is None:
        return (*found, _green_algorithms_by_core(host, assumptions))
    return (*found, *tdp_models(host, tdp_w, assumptions))


def tdp_models(
    host: HostFacts, tdp_w: float, assumptions: AssumptionSet
) -> tuple[PowerModel, PowerModel]:
    """The models that rest on a known TDP, in watts of the whole host."""
    return _green_algorithms(tdp_w), _tdp_table(host, tdp_w, assumptions)


def _specpower(host: HostFacts, generation: str | None, a: AssumptionSet) -> PowerModel:
    """SPECpower by generation; in a virtual machine a vCPU may be a whole core (high end)."""
    row: ServerRow = a.specpower[generation] if generation else a.specpower_unknown
    widest = a.whole_core_factor if host.virtual_machine else 1.0
    cpus = host.host_cpus
    high = _from_wall(cpus, ((0, row.idle_high_w), (1, row.full_high_w)), cpus, a)
    return PowerModel(
        name=f"{SPECPOWER}, {generation or 'unknown CPU'}",
        low=_from_wall(cpus, ((0, row.idle_low_w), (1, row.full_low_w)), cpus, a),
        central=_from_wall(cpus, ((0, row.idle_w), (1, row.full_w)), cpus, a),
        high=tuple((load, watts * widest) for load, watts in high),
    )


def _ccf(host: HostFacts, a: AssumptionSet) -> PowerModel:
    cpus = host.host_cpus
    points = _from_wall(cpus, ((0, a.ccf_idle_w), (1, a.ccf_full_w)), cpus, a)
    return PowerModel(name=CCF, low=points, central=points, high=points)


def _green_algorithms(tdp_w: float) -> PowerModel:
    """Green Algorithms bills TDP × usage, with no idle power."""
    points = ((0.0, 0.0), (1.0, tdp_w))
    return PowerModel(name=GREEN_ALGORITHMS, low=points, central=points, high=points)


def _green_algorithms_by_core(host: HostFacts, a: AssumptionSet) -> PowerModel:
    """Its users count each CPU as a core, which is the high end; the low end: threads share one."""
    whole_w = host.host_cpus * a.green_algorithms_core_w
    points = ((0.0, 0.0), (1.0, whole_w))
    shared = ((0.0, 0.0), (1.0, whole_w / a.threads_per_core))
    return PowerModel(name=GREEN_ALGORITHMS, low=shared, central=points, high=points)


def _tdp_table(host: HostFacts, tdp_w: float, a: AssumptionSet) -> PowerModel:
    """Server AC over TDP by load, brought to the components boundary."""
    return PowerModel(
        name=TDP_TABLE,
        low=_from_wall(tdp_w, a.tdp_share_low, host.host_cpus, a),
        central=_from_wall(tdp_w, a.tdp_share, host.host_cpus, a),
        high=_from_wall(tdp_w, a.tdp_share_high, host.host_cpus, a),
    )


def _from_wall(factor: float, points: PowerPoints, threads: int, a: AssumptionSet) -> PowerPoints:
    """Wall watts × factor as component watts: ÷ 1.33, and the servers' RAM taken off once."""
    ram_w = threads * a.server_ram_gb_per_thread * a.server_ram_w_per_gb
    return tuple((load, factor * watts / a.wall_factor - ram_w) for load, watts in points)


def energy(model: PowerModel, loads: Sequence[Load]) -> ModelEnergy:
    """A model's joules over the loads; where the load is not known, from no load to full load."""
    usual = _usual_load(loads)
    central_j = sum(
        _joules(model.central, span, usual if span.load is None else span.load) for span in loads
    )
    return ModelEnergy(
        name=model.name,
        low_j=sum(_joules(model.low, span, span.load or 0.0) for span in loads),
        central_j=None if usual is None else central_j,
        high_j=sum(
            _joules(model.high, span, 1.0 if span.load is None else span.load) for span in loads
        ),
    )


def _joules(points: PowerPoints, span: Load, load: float | None) -> float:
    """Joules of a span at a load; a curve under 0 W (RAM taken off) is cut there."""
    return max(0.0, interpolate(points, load or 0.0)) * span.duration_s


def _usual_load(loads: Sequence[Load]) -> float | None:
    """The mean load of the spans in which it was counted."""
    known = [(span.duration_s, span.load) for span in loads if span.load is not None]
    total_s = sum(duration_s for duration_s, _ in known)
    return sum(duration_s * load for duration_s, load in known) / total_s if total_s else None
