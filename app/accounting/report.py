"""Readings → energy report: a pure function, so that a report can be computed again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.accounting import carbon, efficiency, phases, series, trust
from app.accounting.assumptions import DEFAULT, AssumptionSet
from app.accounting.baseline import NO_BASELINE, above_idle, of_parts
from app.accounting.components import parts
from app.accounting.parts import Part, Parts, without_figure
from app.accounting.phases import Span, whole
from app.accounting.processors import generation
from app.accounting.trained import trained
from app.domain.external import Asked, ExternalTraining
from app.domain.jobs import JobStatus
from app.domain.quantities import CarbonIntensity, kwh_from_joules
from app.domain.readings import KnownFacts, Method, Phase, Readings
from app.domain.reports import (
    Assumptions,
    AttemptEnergy,
    Baseline,
    Energy,
    EnergyReport,
    Environment,
    PowerSeries,
    Trust,
    Wall,
)
from app.domain.specs import WorkloadFacts

NEVER_RAN = "the job ended before it ran"
NOT_AGAIN = "the job ended while it waited to run again"
NO_READINGS = "its worker was lost before a reading was stored, or none could be accounted for"


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What a report says of an attempt, whether there are readings of it or not.

    Attributes:
        parts: its components.
        baseline: what the host would have used without it.
        known: what the user knows of the host.
        matmul_flops_per_s: what the host computes at most, by precision.
        spans: its phases.
        started_at: first reading, in UTC.
        finished_at: last reading, or the end of a job without one, in UTC.
        duration_s: seconds between them.
        power: mean power between readings.
        attempts: all attempts of the job, this one last.
        trust: grade and conditions.
        environment: the host; null without readings.
        readings_sha256: identity of the readings; null without.
    """

    parts: Parts
    baseline: Baseline = NO_BASELINE
    known: KnownFacts = KnownFacts()
    matmul_flops_per_s: Mapping[str, float] = field(default_factory=dict)
    spans: tuple[Span, ...] = ()
    started_at: datetime | None = None
    finished_at: datetime
    duration_s: float = 0.0
    power: PowerSeries = PowerSeries(t_s=(), cpu_w=(), gpu_w=(), ram_w=())
    attempts: tuple[AttemptEnergy, ...]
    trust: Trust
    environment: Environment | None = None
    readings_sha256: str | None = None


def energy_j(readings: Readings, assumptions: AssumptionSet = DEFAULT) -> float | None:
    """The total of an attempt in joules: its components with corrections; null without a figure."""
    return _total(parts(readings, assumptions).known)


def report(
    readings: Readings,
    *,
    job_id: str,
    spec: Asked,
    status: JobStatus,
    work: WorkloadFacts,
    intensity: CarbonIntensity,
    earlier: tuple[AttemptEnergy, ...] = (),
    assumptions: AssumptionSet = DEFAULT,
) -> EnergyReport:
    """The report of an attempt from what its meter saw, whether it ended well or was cut.

    Args:
        readings: of this attempt, at least one.
        job_id: the job that the attempt is of.
        spec: what was asked for; its identity and its target accuracy are used.
        status: how the job ended.
        work: the workload's facts.
        intensity: the price of a kilowatt-hour, and the PUE.
        earlier: closed attempts of the same job, which `spent_j` adds up too.
        assumptions: the constants that estimates rest on.

    Raises:
        ValueError: there is not one reading.
    """
    if not readings.readings:
        raise ValueError("expected at least one reading, received none")
    return _build(
        _measured(readings, spec, status, earlier, assumptions),
        job_id=job_id,
        spec=spec,
        status=status,
        work=work,
        intensity=intensity,
        assumptions=assumptions,
    )


def _measured(
    readings: Readings,
    spec: Asked,
    status: JobStatus,
    earlier: tuple[AttemptEnergy, ...],
    assumptions: AssumptionSet,
) -> _Run:
    """An attempt with readings."""
    found = parts(readings, assumptions)
    spans = phases.spans(readings, found)
    duration_s = series.times(readings)[-1]
    baseline = of_parts(found, readings.idle, duration_s)
    this = AttemptEnergy(attempt=readings.attempt, ended=status.value, energy_j=_total(found.known))
    attempts = (*earlier, this)
    return _Run(
        parts=found,
        baseline=baseline,
        known=readings.host.known,
        matmul_flops_per_s=readings.host.matmul_flops_per_s,
        spans=spans,
        started_at=readings.started_at,
        finished_at=readings.started_at + timedelta(seconds=duration_s),
        duration_s=duration_s,
        power=phases.power(readings, found),
        attempts=attempts,
        trust=trust.trust(readings, found, baseline, status, attempts),
        environment=_environment(readings, spans, spec),
        readings_sha256=readings.sha256(),
    )


def empty_report(
    *,
    job_id: str,
    spec: Asked,
    status: JobStatus,
    work: WorkloadFacts,
    intensity: CarbonIntensity,
    finished_at: datetime,
    earlier: tuple[AttemptEnergy, ...] = (),
    lost: AttemptEnergy | None = None,
    assumptions: AssumptionSet = DEFAULT,
) -> EnergyReport:
    """The report of a job of which there is no reading: no duration, null energies.

    Args:
        job_id: the job.
        spec: what was asked for; its identity and its target accuracy are used.
        status: how the job ended.
        work: the workload's facts.
        intensity: the price of a kilowatt-hour, and the PUE.
        finished_at: when it ended, in UTC.
        earlier: attempts that did run, where the last one never began.
        lost: the attempt that ends here, where one began and its worker was lost before the first
            reading was stored; its energy is null. Null: the job ended while queued.
        assumptions: the constants that estimates would rest on.
    """
    attempts = earlier if lost is None else (*earlier, lost)
    unrun = NOT_AGAIN if earlier else NEVER_RAN
    nothing = without_figure(Method.UNAVAILABLE, reason=unrun if lost is None else NO_READINGS)
    run = _Run(
        parts=Parts(cpu=nothing, gpu=nothing, ram=nothing),
        finished_at=finished_at,
        attempts=attempts,
        trust=trust.without_readings(attempts, lost=lost is not None),
    )
    return _build(
        run,
        job_id=job_id,
        spec=spec,
        status=status,
        work=work,
        intensity=intensity,
        assumptions=assumptions,
    )


def _build(
    run: _Run,
    *,
    job_id: str,
    spec: Asked,
    status: JobStatus,
    work: WorkloadFacts,
    intensity: CarbonIntensity,
    assumptions: AssumptionSet,
) -> EnergyReport:
    """The report: what was read, priced and set against the work."""
    energy = _energy(run, assumptions)
    done = efficiency.work(run.spans, work, run.matmul_flops_per_s)
    return EnergyReport(
        job_id=job_id,
        status=status,
        spec_sha256=spec.sha256(),
        trained=trained(spec),
        started_at=run.started_at,
        finished_at=run.finished_at,
        duration_s=run.duration_s,
        mean_power_w=None if energy.total_j is None else energy.total_j / run.duration_s,
        energy=energy,
        stock_codecarbon=carbon.stock_codecarbon(run.parts, intensity),
        emissions=carbon.emissions(energy, intensity),
        phases=phases.reports(run.spans),
        power=run.power,
        work=done,
        quality=efficiency.quality(run.spans, spec.target_accuracy),
        efficiency=efficiency.efficiency(run.spans, done, spec.target_accuracy),
        trust=run.trust,
        attempts=run.attempts,
        environment=run.environment,
        assumptions=_assumptions(assumptions, run.known),
        readings_sha256=run.readings_sha256,
    )


def _total(known: Sequence[Part]) -> float | None:
    return _sum([part.component.energy_j for part in known])


def _sum(values: Sequence[float | None]) -> float | None:
    """The sum of the values that are known; null where none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _energy(run: _Run, a: AssumptionSet) -> Energy:
    """Components, their sum with ends added to ends, baseline, net and wall."""
    found = run.parts
    total_j = _total(found.known)
    low_j = _sum([part.component.low_j for part in found.known])
    high_j = _sum([part.component.high_j for part in found.known])
    net = above_idle(total_j, run.baseline, found.known)
    return Energy(
        complete=all(_whole(part) for part in found.all),
        cpu=found.cpu.component,
        gpu=found.gpu.component,
        ram=found.ram.component,
        total_j=total_j,
        total_kwh=None if total_j is None else kwh_from_joules(total_j),
        low_j=low_j,
        high_j=high_j,
        baseline=run.baseline,
        net_j=net.energy_j,
        net_low_j=net.low_j,
        net_high_j=net.high_j,
        wall=_wall(total_j, low_j, high_j, _wall_factors(run.known, a)),
        spent_j=_sum([attempt.energy_j for attempt in run.attempts]),
    )


def _whole(part: Part) -> bool:
    """Whether a component is in the total with all of its sensors, or does not exist."""
    return part.component.method is not Method.UNAVAILABLE and not part.partial


def _wall_factors(known: KnownFacts, a: AssumptionSet) -> tuple[float, float, float]:
    """Low, central and high of plug over components; what the user knows has no range."""
    if known.wall_factor is not None:
        return known.wall_factor, known.wall_factor, known.wall_factor
    return a.wall_factor_low, a.wall_factor, a.wall_factor_high


def _wall(
    total_j: float | None,
    low_j: float | None,
    high_j: float | None,
    factors: tuple[float, float, float],
) -> Wall:
    """Energy at the plug: power supply, fans and the rest on top of the components."""
    if total_j is None or low_j is None or high_j is None:
        return Wall(energy_j=None, low_j=None, high_j=None, method=Method.UNAVAILABLE)
    low, central, high = factors
    return Wall(
        energy_j=total_j * central,
        low_j=low_j * low,
        high_j=high_j * high,
        method=Method.ESTIMATED,
    )


def _environment(readings: Readings, spans: tuple[Span, ...], spec: Asked) -> Environment:
    """The host, and what the mark that ends `setup` said of the training process."""
    host = readings.host
    setup = next((span.facts for span in spans if span.name is Phase.SETUP), None) or {}
    tensorflow = setup.get("tensorflow")
    told = spec.framework if isinstance(spec, ExternalTraining) else None
    return Environment(
        host=host.name,
        cpu_model=host.cpu_model,
        cpu_generation=generation(host),
        logical_cpus=host.logical_cpus,
        host_cpus=host.host_cpus,
        memory_gib=host.memory_gib,
        gpus=host.gpus,
        os=host.os,
        python=host.python,
        tensorflow=tensorflow if isinstance(tensorflow, str) else None,
        codecarbon=readings.meter.codecarbon,
        threads=whole(setup, "threads"),
        sample_interval_s=readings.sample_interval_s,
        execution=({} if told is None else {"framework": told})
        | {
            name: value
            for name, value in setup.items()
            if name != "tensorflow" and isinstance(value, str | int | bool)
        },
    )


def _assumptions(a: AssumptionSet, known: KnownFacts) -> Assumptions:
    """The set, and what the user knew better, by setting."""
    overrides = known.model_dump(exclude_none=True)
    return Assumptions(set=a.name, version=a.version, overrides=overrides)
