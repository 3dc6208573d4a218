"""What the client gives: pages, and reports that a notebook shows."""

from collections.abc import Mapping
from html import escape
from typing import Any, TypeVar

from pydantic import BaseModel

from app.domain.experiments import Experiment, ExperimentResult
from app.domain.jobs import Job
from app.domain.quantities import Frozen
from app.domain.report_rows import ReportRow
from app.domain.reports import EnergyReport
from app.words import report as words

Model = TypeVar("Model", bound=BaseModel)


def parse(model: type[Model], data: Any) -> Model:
    """A domain object from the API's JSON; fields that we do not know yet are ignored."""
    return model.model_validate(data, extra="ignore")


def as_job(data: Mapping[str, Any]) -> Job:
    """A job from the API's JSON; links are left out."""
    return parse(Job, data)


class JobList(Frozen):
    """One page of jobs, newest first; `next_cursor` is null on the last one."""

    items: tuple[Job, ...]
    next_cursor: str | None


def as_experiment(data: Mapping[str, Any]) -> Experiment:
    """An experiment from the API's JSON; links are left out."""
    return parse(Experiment, data)


class ExperimentReport(Experiment):
    """An experiment with what is known of it so far."""

    result: ExperimentResult


class ExperimentList(Frozen):
    """One page of experiments, newest first; `next_cursor` is null on the last one."""

    items: tuple[Experiment, ...]
    next_cursor: str | None


class RowList(Frozen):
    """One page of flat rows of reports; `next_cursor` is null on the last one."""

    items: tuple[ReportRow, ...]
    next_cursor: str | None

    def to_pandas(self) -> Any:
        """The rows as a `pandas.DataFrame`, always with every column.

        Raises:
            ImportError: pandas is not installed (`pip install trainwatt[pandas]`).
        """
        import pandas

        columns = list(ReportRow.model_fields)
        return pandas.DataFrame([row.model_dump() for row in self.items], columns=columns)


class Report(EnergyReport):
    """An energy report, which a notebook shows as a table of sentences."""

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left;vertical-align:top'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(text)}</td></tr>"
            for name, text in words.rows(self)
        )
        caption = f"Energy report of job {escape(self.job_id)} ({self.status.value})"
        return f"<table><caption>{caption}</caption>{cells}</table>"
