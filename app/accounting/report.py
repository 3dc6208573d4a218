"""Readings → energy report: a pure function, so that a report can be computed again."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from app.accounting import carbon, efficiency, phases, series, trust
from app.accounting.assumptions import DEFAULT, AssumptionSet
from app.accounting.components import Part, Parts, parts, without_figure
from app.accounting.phases import Span, whole
from app.accounting.processors import generation
from app.domain.jobs import JobStatus
from app.domain.quantities import CarbonIntensity, kwh_from_joules
from app.domain.readings import Method, Phase, Readings
from app.domain.reports import (
    Assumptions,
    AttemptEnergy,
    Baseline,
    Energy,
    EnergyReport,
    Environment,
    PowerSeries,
    Wall,
)
from app.domain.specs import JobSpec, WorkloadFacts

NEVER_RAN = "the job ended before it ran"


def energy_j(readings: Readings) -> float | None:
    """The total of an attempt in joules: its components with corrections; null without a figure."""
    return _total(parts(readings, DEFAULT).known)


def report(
    readings: Readings,
    *,
    job_id: str,
    spec: JobSpec,
    status: JobStatus,
    work: WorkloadFacts,
    intensity: CarbonIntensity,
    earlier: tuple[AttemptEnergy, ...] = (),
) -> EnergyReport:
    """The report of an attempt from what its meter saw, whether it ended well or was cut.

    Args:
        readings: of this attempt, at least one.
        job_id: the job that the attempt is of.
        spec: what was asked for; only its identity is used.
        status: how the job ended.
        work: the workload's facts.
        intensity: the price of a kilowatt-hour, and the PUE.
        earlier: closed attempts of the same job, which `spent_j` adds up too.

    Raises:
        ValueError: there is not one reading.
    """
    if not readings.readings:
        raise ValueError("expected at least one reading, received none")
    found = parts(readings, DEFAULT)
    spans = phases.spans(readings, found)
    duration_s = series.times(readings)[-1]
    this = AttemptEnergy(attempt=readings.attempt, ended=status.value, energy_j=_total(found.known))
    energy = _energy(found, duration_s, (*earlier, this), DEFAULT)
    done = efficiency.work(spans, work)
    return EnergyReport(
        job_id=job_id,
        status=status,
        spec_sha256=spec.sha256(),
        started_at=readings.started_at,
        finished_at=readings.started_at + timedelta(seconds=duration_s),
        duration_s=duration_s,
        mean_power_w=None if energy.total_j is None else energy.total_j / duration_s,
        energy=energy,
        stock_codecarbon=carbon.stock_codecarbon(found, intensity),
        emissions=carbon.emissions(energy, intensity),
        phases=phases.reports(spans),
        power=phases.power(readings, found),
        work=done,
        quality=efficiency.quality(spans),
        efficiency=efficiency.efficiency(spans, done),
        trust=trust.trust(readings, found, status),
        attempts=(*earlier, this),
        environment=_environment(readings, spans),
        assumptions=_assumptions(DEFAULT),
        readings_sha256=readings.sha256(),
    )


def empty_report(
    *,
    job_id: str,
    spec: JobSpec,
    status: JobStatus,
    work: WorkloadFacts,
    intensity: CarbonIntensity,
    finished_at: datetime,
    earlier: tuple[AttemptEnergy, ...] = (),
) -> EnergyReport:
    """The report of a job that ended while queued: no duration, null energies.

    Args:
        job_id: the job.
        spec: what was asked for; only its identity is used.
        status: how the job ended.
        work: the workload's facts.
        intensity: the price of a kilowatt-hour, and the PUE.
        finished_at: when it ended, in UTC.
        earlier: attempts that did run, where the last one never began.
    """
    nothing = without_figure(Method.UNAVAILABLE, reason=NEVER_RAN)
    found = Parts(cpu=nothing, gpu=nothing, ram=nothing)
    energy = _energy(found, 0.0, earlier, DEFAULT)
    done = efficiency.work((), work)
    return EnergyReport(
        job_id=job_id,
        status=status,
        spec_sha256=spec.sha256(),
        started_at=None,
        finished_at=finished_at,
        duration_s=0.0,
        mean_power_w=None,
        energy=energy,
        stock_codecarbon=carbon.stock_codecarbon(found, intensity),
        emissions=carbon.emissions(energy, intensity),
        phases=(),
        power=PowerSeries(t_s=(), cpu_w=(), gpu_w=(), ram_w=()),
        work=done,
        quality=efficiency.quality(()),
        efficiency=efficiency.efficiency((), done),
        trust=trust.never_started(),
        attempts=earlier,
        environment=None,
        assumptions=_assumptions(DEFAULT),
        readings_sha256=None,
    )


def _total(known: Sequence[Part]) -> float | None:
    return _sum([part.component.energy_j for part in known])


def _sum(values: Sequence[float | None]) -> float | None:
    """The sum of the values that are known; null where none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _energy(
    found: Parts, duration_s: float, attempts: tuple[AttemptEnergy, ...], a: AssumptionSet
) -> Energy:
    """Components, their sum with ends added to ends, baseline, net and wall."""
    total_j = _total(found.known)
    low_j = _sum([part.component.low_j for part in found.known])
    high_j = _sum([part.component.high_j for part in found.known])
    baseline = _baseline(found, duration_s)
    return Energy(
        complete=all(part.component.method is not Method.UNAVAILABLE for part in found.all),
        cpu=found.cpu.component,
        gpu=found.gpu.component,
        ram=found.ram.component,
        total_j=total_j,
        total_kwh=None if total_j is None else kwh_from_joules(total_j),
        low_j=low_j,
        high_j=high_j,
        baseline=baseline,
        net_j=_net_j(total_j, baseline),
        wall=_wall(total_j, low_j, high_j, a),
        spent_j=_sum([attempt.energy_j for attempt in attempts]),
    )


def _net_j(total_j: float | None, baseline: Baseline) -> float | None:
    """Energy above the baseline; not below 0, where the host drew less than its idle figure."""
    if total_j is None or baseline.energy_j is None:
        return None
    return max(0.0, total_j - baseline.energy_j)


def _baseline(found: Parts, duration_s: float) -> Baseline:
    """The models' own idle power; unavailable where a sensor measured and no idle window is known.

    The window is null: no time was measured. Only the components in the total are in it.
    """
    idle_w = [part.idle_w for part in found.known if part.idle_w is not None]
    if not idle_w or len(idle_w) < len(found.known):
        return Baseline(power_w=None, energy_j=None, method=Method.UNAVAILABLE, window_s=None)
    guessed = "cpu_power_guessed" in found.cpu.codes
    return Baseline(
        power_w=sum(idle_w),
        energy_j=sum(idle_w) * duration_s,
        method=Method.ASSUMED if guessed else Method.ESTIMATED,
        window_s=None,
    )


def _wall(
    total_j: float | None, low_j: float | None, high_j: float | None, a: AssumptionSet
) -> Wall:
    """Energy at the plug: power supply, fans and the rest on top of the components."""
    if total_j is None or low_j is None or high_j is None:
        return Wall(energy_j=None, low_j=None, high_j=None, method=Method.UNAVAILABLE)
    return Wall(
        energy_j=total_j * a.wall_factor,
        low_j=low_j * a.wall_factor_low,
        high_j=high_j * a.wall_factor_high,
        method=Method.ESTIMATED,
    )


def _environment(readings: Readings, spans: tuple[Span, ...]) -> Environment:
    """The host, and what the mark that ends `setup` said of the training process."""
    host = readings.host
    setup = next((span.facts for span in spans if span.name is Phase.SETUP), None) or {}
    tensorflow = setup.get("tensorflow")
    return Environment(
        host=host.name,
        cpu_model=host.cpu_model,
        cpu_generation=generation(host),
        logical_cpus=host.logical_cpus,
        memory_gib=host.memory_gib,
        gpus=host.gpus,
        os=host.os,
        python=host.python,
        tensorflow=tensorflow if isinstance(tensorflow, str) else None,
        codecarbon=readings.meter.codecarbon,
        threads=whole(setup, "threads"),
        execution={
            name: value
            for name, value in setup.items()
            if name != "tensorflow" and isinstance(value, str | int | bool)
        },
    )


def _assumptions(a: AssumptionSet) -> Assumptions:
    return Assumptions(set=a.name, version=a.version, overrides={})
