"""The jobs as a table: filtered, sorted, selected to be compared."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from app.api.routes.requests import JobFilterQuery, Serving
from app.api.validation import validated
from app.domain.jobs import Job, JobStatus
from app.domain.report_rows import ReportRow, ReportSort
from app.service import Service
from app.web.charts import scatter
from app.web.forms import filled
from app.web.pages import page
from app.words.jobs import named

PAGE = 50
SORTS: dict[str, str] = {
    "": "newest first",
    "energy_total_j": "least energy",
    "-energy_total_j": "most energy",
    "j_per_sample": "least energy per sample",
    "-test_accuracy": "highest accuracy",
    "co2e_g": "least CO2e",
}

router = APIRouter()
Line = tuple[str, Job | None, ReportRow | None]


class JobsQuery(JobFilterQuery):
    """Which jobs, in which order; sorted by a figure, only those that have ended."""

    sort: ReportSort | None = None
    cursor: Annotated[str | None, Field(max_length=512)] = None


@router.get("/jobs")
async def jobs(request: Request, service: Serving) -> Response:
    """One page of them."""
    given = filled(request.query_params.multi_items())
    wanted = validated(JobsQuery, given, noun="query parameter")
    lines, following = await _lines(service, wanted)
    rows = [row for _, _, row in lines if row]
    return page(
        "jobs",
        here="/jobs",
        given=given,
        lines=lines,
        next_page=urlencode({**given, "cursor": following}) if following else None,
        chart=scatter(
            [
                (row.energy_total_j, row.test_accuracy, _title(row), f"/jobs/{row.job_id}")
                for row in rows
                if row.energy_total_j is not None and row.test_accuracy is not None
            ]
        ),
        statuses=[status.value for status in JobStatus],
        sorts=SORTS,
    )


async def _lines(service: Service, wanted: JobsQuery) -> tuple[list[Line], str | None]:
    meant = wanted.meant()
    if wanted.sort is None:
        listed = await service.list_jobs(meant, limit=PAGE, cursor=wanted.cursor)
        rows = await service.rows_of(listed.items)
        return [(job.id, job, rows.get(job.id)) for job in listed.items], listed.next_cursor
    found = await service.report_rows(meant, sort=wanted.sort, limit=PAGE, cursor=wanted.cursor)
    flat = [ReportRow.model_validate_json(row) for row in found.rows]
    return [(row.job_id, None, row) for row in flat], found.next_cursor


def _title(row: ReportRow) -> str:
    model = named(row.model_type, row.size, row.model_name)
    batch = None if row.batch_size is None else f"batch {row.batch_size}"
    return ", ".join(filter(None, [model, batch, row.precision]))
