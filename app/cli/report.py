"""The energy report for a person: 80 columns, readable without colour, nulls with their reason."""

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.domain.reports import EnergyReport
from app.words import report as words
from app.words.units import NONE, duration, interval, quantity, significant


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
    for note in words.notes(report):
        console.print(Padding(Text(note), (0, 0, 0, 2)))
    if report.phases:
        console.print()
        console.print(_phases(report))
    if words.ran_before(report):
        console.print()
        console.print(_attempts(report))


def _facts(report: EnergyReport) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    for name, value in words.rows(report):
        hint = " (--country FRA)" if report.emissions.reason == "no_country" else ""
        grid.add_row(name, Text(value + hint if name == "CO2e" else value))
    return grid


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        right = column in {"Energy", "Duration", "Loss", "Accuracy"}
        table.add_column(column, justify="right" if right else "left")
    return table


def _components(report: EnergyReport) -> Table:
    table = _table("Component", "Energy", "Interval", "Method", "Source")
    for name, part in words.parts(report):
        table.add_row(
            name,
            quantity(part.energy_j, "J"),
            interval(part.low_j, part.high_j, "J", of=part.energy_j),
            part.method.value,
            Text(part.source or part.reason or NONE),
        )
    return table


def _phases(report: EnergyReport) -> Table:
    table = _table("Phase", "Energy", "Duration", "Loss", "Accuracy")
    for phase in report.phases:
        table.add_row(
            words.phase_name(phase),
            quantity(phase.energy_j, "J"),
            duration(phase.duration_s),
            significant(phase.loss) if phase.loss is not None else "",
            words.phase_accuracy(phase),
        )
    return table


def _attempts(report: EnergyReport) -> Table:
    table = _table("Attempt", "Ended", "Energy")
    for attempt in report.attempts:
        table.add_row(str(attempt.attempt), attempt.ended, quantity(attempt.energy_j, "J"))
    return table
