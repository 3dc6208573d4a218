"""The energy report for a person: 80 columns, readable without colour, nulls with their reason."""

from collections.abc import Iterator

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.cli.units import NONE, interval, per_cent, quantity, significant
from app.domain.quantities import joules_from_kwh
from app.domain.readings import Method, Phase
from app.domain.reports import Component, EnergyReport, PhaseReport

DEFAULT = "codecarbon"  # the set of assumptions that a report has without asking
NOTABLE_SETUP = 0.1  # a larger share says that longer runs cost less a sample
INTERVALS = {
    "published_models": "range of the published models",
    "sensor_error": "stated error of the sensor",
    None: "no interval",
}


def render(report: EnergyReport, console: Console, *, why: str | None = None) -> None:
    """Print what it cost, how sure that is, what came of it, and where the energy went.

    Args:
        report: of a job.
        console: where to.
        why: why the job did not succeed.
    """
    console.print(Text(f"Energy report of job {report.job_id} ({report.status.value})", "bold"))
    if why:
        console.print(Text(why))
    console.print()
    console.print(_facts(report))
    console.print()
    console.print(_components(report))
    for note in _notes(report):
        console.print(Padding(Text(note), (0, 0, 0, 2)))
    if report.phases:
        console.print()
        console.print(_phases(report))
    if _ran_before(report):
        console.print()
        console.print(_attempts(report))


def _facts(report: EnergyReport) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    for name, value in _rows(report):
        grid.add_row(name, Text(value))
    return grid


def _rows(report: EnergyReport) -> Iterator[tuple[str, str]]:
    yield "Energy", _energy(report)
    if (share := _setup_share(report)) > NOTABLE_SETUP:
        yield "", f"of which setup {per_cent(share)}"
    yield "Above idle", _net(report)
    yield "Power", _power(report)
    yield "CO2e", _emissions(report)
    yield "Per sample", _per_sample(report)
    if (speed := _speed(report)) is not None:
        yield "Speed", speed
    yield "Accuracy", _accuracy(report)
    if report.quality.stopped_by == "early_stopping":
        after = quantity(report.efficiency.j_after_best_epoch, "J")
        yield "Stopped", f"early, with {after} of training after the best epoch"
    if (reached := report.quality.target_reached) is not None:
        yield "Target", _target(report) if reached else "not reached"
    yield "Trust", f"grade {report.trust.grade}"
    for reason in report.trust.reasons:
        yield "", f"- {reason.message}"
    if (cost := _instrument(report)) is not None:
        yield "Measuring", cost
    if (waited_s := report.trust.waited_for_quiet_s) is not None and waited_s >= 1:
        yield "Waited", f"{duration(waited_s)} before the run, for a quiet host or its idle power"
    yield "At the plug", _wall(report)
    yield "codecarbon", _stock(report)
    if (assumptions := _assumptions(report)) is not None:
        yield "Assumptions", assumptions
    if _ran_before(report):
        yield "Spent", f"{quantity(report.energy.spent_j, 'J')} in all attempts together"


def _ran_before(report: EnergyReport) -> bool:
    """Whether there are attempts beside the one that the report is of."""
    return len(report.attempts) > (0 if report.readings_sha256 is None else 1)


def _target(report: EnergyReport) -> str:
    return f"reached, with {quantity(report.efficiency.j_to_target, 'J')} of training"


def _energy(report: EnergyReport) -> str:
    energy = report.energy
    if energy.total_j is None:
        return f"{NONE} ({_why_no_energy(report)})"
    least = "" if energy.complete else "at least "
    kinds = dict.fromkeys(INTERVALS[part.interval] for _, part in _parts(report) if part.energy_j)
    span = interval(energy.low_j, energy.high_j, "J", of=energy.total_j)
    return f"{least}{quantity(energy.total_j, 'J')} ({'; '.join([span, *kinds])})"


def _net(report: EnergyReport) -> str:
    """What the job used above idle power, and how that is known."""
    energy, baseline = report.energy, report.energy.baseline
    if energy.net_j is None:
        unknown = (
            "idle power is not known" if energy.total_j is not None else _why_no_energy(report)
        )
        return f"{NONE} ({unknown})"
    span = interval(energy.net_low_j, energy.net_high_j, "J", of=energy.net_j)
    how = f"{baseline.method.value} by its model"
    if baseline.window_s is not None:
        how = f"{baseline.method.value} over {duration(baseline.window_s)}"
    idle = f"idle power {quantity(baseline.power_w, 'W')}, {how}"
    return f"{quantity(energy.net_j, 'J')} ({span}); {idle}"


def _instrument(report: EnergyReport) -> str | None:
    """What measuring cost at most: all of the worker's process; null where it is not known."""
    trust = report.trust
    if trust.instrument_cpu_s is None:
        return None
    joules = "" if trust.instrument_j is None else f", about {quantity(trust.instrument_j, 'J')}"
    return (
        f"at most {quantity(trust.instrument_cpu_s, 's')} of CPU time{joules}, in the energy above"
    )


def _assumptions(report: EnergyReport) -> str | None:
    """The set where it is not the default, and what the user knew better; null: neither."""
    used = report.assumptions
    known = [f"{name} = {_plain(value)}" for name, value in used.overrides.items()]
    if used.set != DEFAULT:
        known = [f"set {used.set} {used.version}", *known]
    return "; ".join(known) or None


def _plain(value: float | int | bool | str) -> str:
    """A setting's value as it is given: 360, true, genoa."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else f"{value:g}"


def _setup_share(report: EnergyReport) -> float:
    """What loading, building and tracing took of the energy."""
    setup = sum(part.energy_j or 0 for part in report.phases if part.name is Phase.SETUP)
    return setup / report.energy.total_j if report.energy.total_j else 0.0


def _why_no_energy(report: EnergyReport) -> str:
    if report.started_at is None or report.duration_s == 0:
        return "it waited to run again" if report.attempts else "the job never ran"
    reasons = [part.reason for _, part in _parts(report) if part.reason]
    return "; ".join(reasons) or "no component could be read"


def _power(report: EnergyReport) -> str:
    if report.mean_power_w is None:
        return f"{NONE} (over {duration(report.duration_s)})"
    return f"{quantity(report.mean_power_w, 'W')} on average over {duration(report.duration_s)}"


def _emissions(report: EnergyReport) -> str:
    priced = report.emissions
    if priced.reason == "no_country":
        return "no country set (--country FRA)"
    if priced.co2e_g is None or priced.intensity_g_per_kwh is None:
        return f"{NONE} ({_why_no_energy(report)})"
    place = " ".join(filter(None, [priced.country_iso_code, priced.region]))
    year = str(priced.intensity_year or "")
    source = ", ".join(filter(None, [place, priced.intensity_source, year]))
    pue = f", PUE {significant(priced.pue)}" if priced.pue != 1 else ""
    span = interval(priced.low_g, priced.high_g, "g", of=priced.co2e_g)
    return (
        f"{quantity(priced.co2e_g, 'g')} ({span}) at "
        f"{significant(priced.intensity_g_per_kwh)} g/kWh ({source}{pue})"
    )


def _per_sample(report: EnergyReport) -> str:
    per_sample = report.efficiency.j_per_sample
    if per_sample is None:
        return f"{NONE} (no training phase was finished)" if not report.work.samples else NONE
    return f"{quantity(per_sample, 'J')} ({report.work.samples:,} samples trained)"


def _speed(report: EnergyReport) -> str | None:
    """FLOP/s of the epochs, and their share of the host's peak; null where FLOPs are not known."""
    work = report.work
    if work.achieved_flops_per_s is None:
        return None
    speed = quantity(work.achieved_flops_per_s, "FLOP/s")
    if work.matmul_share is None:
        return speed
    peak = quantity(work.matmul_flops_per_s, "FLOP/s")
    return f"{speed}, {per_cent(work.matmul_share)} of this host's matrix product ({peak})"


def _accuracy(report: EnergyReport) -> str:
    quality = report.quality
    if quality.test_accuracy is None:
        return f"{NONE} (the test set was not reached)"
    loss = f", loss {significant(quality.test_loss)}" if quality.test_loss is not None else ""
    best = f"; best epoch {quality.best_epoch + 1}" if quality.best_epoch is not None else ""
    return f"{per_cent(quality.test_accuracy)} on the test set{loss}{best}"


def _wall(report: EnergyReport) -> str:
    wall = report.energy.wall
    if wall.energy_j is None:
        return f"{NONE} ({_why_no_energy(report)})"
    span = interval(wall.low_j, wall.high_j, "J", of=wall.energy_j)
    return f"about {quantity(wall.energy_j, 'J')} ({span}; {wall.method.value})"


def _stock(report: EnergyReport) -> str:
    stock = report.stock_codecarbon
    if stock.total_kwh is None:
        return f"{NONE} ({_why_no_energy(report)})"
    energy = f"{quantity(joules_from_kwh(stock.total_kwh), 'J')} by its own accounting"
    if stock.emissions_kg is None:
        return energy
    return f"{energy}, {quantity(stock.emissions_kg * 1000, 'g')} CO2e"


def _parts(report: EnergyReport) -> list[tuple[str, Component]]:
    energy = report.energy
    return [("CPU", energy.cpu), ("GPU", energy.gpu), ("RAM", energy.ram)]


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        right = column in {"Energy", "Duration", "Loss", "Accuracy"}
        table.add_column(column, justify="right" if right else "left")
    return table


def _components(report: EnergyReport) -> Table:
    table = _table("Component", "Energy", "Interval", "Method", "Source")
    for name, part in _parts(report):
        table.add_row(
            name,
            quantity(part.energy_j, "J"),
            interval(part.low_j, part.high_j, "J", of=part.energy_j),
            part.method.value,
            Text(part.source or part.reason or NONE),
        )
    return table


def _notes(report: EnergyReport) -> Iterator[str]:
    for name, part in _parts(report):
        for correction in part.corrections:
            yield f"{name} corrected × {significant(correction.factor)}: {correction.message}"
        if part.method is Method.MEASURED and part.reason:
            yield f"{name} is not complete: {part.reason}"
        if part.method is Method.UNAVAILABLE and part.reason and part.source:
            yield f"{name} cannot be read: {part.reason}"
        if part.method is Method.ASSUMED and part.reason:
            yield f"{name} is assumed: {part.reason}"


def _phases(report: EnergyReport) -> Table:
    table = _table("Phase", "Energy", "Duration", "Loss", "Accuracy")
    for phase in report.phases:
        table.add_row(
            _phase_name(phase),
            quantity(phase.energy_j, "J"),
            duration(phase.duration_s),
            significant(phase.loss) if phase.loss is not None else "",
            _phase_accuracy(phase),
        )
    return table


def _phase_name(phase: PhaseReport) -> str:
    return phase.name.value if phase.index is None else f"{phase.name.value} {phase.index + 1}"


def _phase_accuracy(phase: PhaseReport) -> str:
    known = {"train": phase.train_accuracy, "validation": phase.validation_accuracy}
    return ", ".join(f"{name} {per_cent(v)}" for name, v in known.items() if v is not None)


def _attempts(report: EnergyReport) -> Table:
    table = _table("Attempt", "Ended", "Energy")
    for attempt in report.attempts:
        table.add_row(str(attempt.attempt), attempt.ended, quantity(attempt.energy_j, "J"))
    return table


def duration(seconds: float) -> str:
    """Seconds as a person reads them: `20.1 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 100:
        return quantity(seconds, "s")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"
