"""An energy statement in Markdown, for a paper or a technical file: each field as it is known."""

from collections.abc import Iterator

from app.domain.readings import Method
from app.domain.reports import Component, EnergyReport
from app.exports.known import energy_method
from app.words import report as words
from app.words.jobs import epochs, named, on_data
from app.words.units import NONE, duration, interval, per_cent, quantity, significant

Row = tuple[str, str, str, str]


def statement(report: EnergyReport) -> str:
    """A paragraph and a table of figures, intervals, how each is known, and from what."""
    table = [
        "| quantity | value | interval | known | from |",
        "|---|---|---|---|---|",
        *(f"| {' | '.join(map(_cell, row))} |" for row in _rows(report)),
    ]
    reasons = [f"- {_cell(reason.message)}" for reason in report.trust.reasons]
    return "\n".join(
        [
            "# Energy statement",
            "",
            _cell(_paragraph(report)),
            "",
            *table,
            "",
            f"Trust grade {report.trust.grade}" + (":" if reasons else "."),
            *([""] if reasons else []),
            *reasons,
            "",
        ]
    )


def _paragraph(report: EnergyReport) -> str:
    trained = report.trained
    what = "The training"
    if trained is not None:
        model = named(trained.model_type, trained.size, trained.model_name)
        span = epochs(trained.epochs)
        what = f"Training {on_data(model, trained.dataset)}{f' for {span}' if span else ''}"
    where = f" on {report.environment.cpu_model or 'an unknown CPU'}" if report.environment else ""
    return (
        f"{what}{where} ({report.status.value}) was accounted for by trainwatt, whose sensor is "
        f"codecarbon; the boundary is the components CPU, GPU and RAM. Job {report.job_id}, "
        f"spec {report.spec_sha256[:12]}, readings {(report.readings_sha256 or 'none')[:12]}."
    )


def _rows(report: EnergyReport) -> Iterator[tuple[str, ...]]:
    energy, priced, work = report.energy, report.emissions, report.work
    known = energy_method(report)
    for name, part in words.parts(report):
        yield _component(name, part)
    least = "" if energy.complete or energy.total_j is None else "at least "
    total = interval(energy.low_j, energy.high_j, "J", of=energy.total_j)
    yield "total", least + quantity(energy.total_j, "J"), total, known, "the components' sum"
    yield (
        "above idle",
        quantity(energy.net_j, "J"),
        interval(energy.net_low_j, energy.net_high_j, "J", of=energy.net_j),
        energy.baseline.method.value,
        f"idle power {quantity(energy.baseline.power_w, 'W')}",
    )
    wall = energy.wall
    span = interval(wall.low_j, wall.high_j, "J", of=wall.energy_j)
    yield (
        "at the plug",
        quantity(wall.energy_j, "J"),
        span,
        wall.method.value,
        "a factor on the total",
    )
    source = " ".join(filter(None, [priced.intensity_source, str(priced.intensity_year or "")]))
    yield (
        "CO2e",
        quantity(priced.co2e_g, "g"),
        interval(priced.low_g, priced.high_g, "g", of=priced.co2e_g),
        NONE if priced.co2e_g is None else f"{known}; intensity assumed",
        f"{significant(priced.intensity_g_per_kwh)} g/kWh, PUE {priced.pue:g}, {source or NONE}",
    )
    by_word, word = words.told(report), "its script's word"
    known = "assumed" if by_word else "measured"
    yield "duration", duration(report.duration_s), NONE, "measured", "the readings"
    yield (
        "samples trained",
        f"{work.samples:,}",
        NONE,
        known,
        word if by_word else "the training",
    )
    counted = word if by_word else "hand count of the layers"
    flops = counted if work.flops is not None else work.flops_reason or NONE
    yield "FLOPs", quantity(work.flops, "FLOP"), NONE, "estimated", flops
    accuracy = report.quality.test_accuracy
    by = word if by_word else "the test set"
    yield "test accuracy", per_cent(accuracy), NONE, NONE if accuracy is None else known, by


def _component(name: str, part: Component) -> tuple[str, ...]:
    figure = quantity(part.energy_j, "J")
    if part.method is Method.UNAVAILABLE:
        figure = f"{NONE} (not read)"
    span = interval(part.low_j, part.high_j, "J", of=part.energy_j)
    return name, figure, span, part.method.value, part.source or part.reason or NONE


def _cell(text: str) -> str:
    """Text that is neither markup nor the end of a cell; words in backticks stay as they are."""
    parts = " ".join(text.split()).split("`")
    if len(parts) % 2 == 0:  # a backtick alone is no code
        parts = ["\\`".join(parts)]
    return "`".join(
        part.replace("|", "\\|") if place % 2 else _escaped(part)
        for place, part in enumerate(parts)
    )


def _escaped(text: str) -> str:
    for mark in "\\|<>*_[]":
        text = text.replace(mark, f"\\{mark}")
    return text
