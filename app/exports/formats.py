"""The formats by name: what each is, its media type, and how it is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.domain.reports import EnergyReport
from app.exports.codecarbon import emissions_csv
from app.exports.model_card import model_card
from app.exports.sci import Unit, sci
from app.exports.statement import statement


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a format may be asked for beside the report; only `sci` asks."""

    unit: Unit = "training"
    embodied_g: float | None = None


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format.

    Attributes:
        title: for people.
        media_type: of what is made.
        file_name: of a download, behind the job's identifier.
        make: from a report.
    """

    title: str
    media_type: str
    file_name: str
    make: Callable[[EnergyReport, Options], str]


FORMATS: Mapping[str, Format] = {
    "codecarbon": Format(
        title="codecarbon's emissions.csv",
        media_type="text/csv",
        file_name="emissions.csv",
        make=lambda report, _: emissions_csv(report),
    ),
    "model-card": Format(
        title="Hugging Face model card",
        media_type="text/markdown",
        file_name="model-card.md",
        make=lambda report, _: model_card(report),
    ),
    "sci": Format(
        title="Software Carbon Intensity (ISO/IEC 21031)",
        media_type="application/json",
        file_name="sci.json",
        make=lambda report, options: sci(report, options.unit, options.embodied_g),
    ),
    "statement": Format(
        title="energy statement",
        media_type="text/markdown",
        file_name="statement.md",
        make=lambda report, _: statement(report),
    ),
}
