"""Jobs: submit, list, show, cancel."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from app.api import docs
from app.api.routes.requests import (
    MAX_PAGE,
    TEXT,
    JobFilterQuery,
    JobId,
    NoQueryHere,
    Serving,
    query,
    spec,
)
from app.api.routes.views import JobPageView, JobView
from app.domain.errors import FieldError, SpecError
from app.domain.specs import JobSpec

NOT_YET_HEADERS = ("Idempotency-Key",)  # named by the contract; refused rather than ignored

router = APIRouter(tags=["jobs"])

SPECS = {
    "the least that works": {"model_type": "cnn", "size": "base", "epochs": 3},
    "a size by hand, priced in France": {
        "model_type": "rnn",
        "size": {"width": 1.5, "depth": 2},
        "epochs": 5,
        "tags": {"team": "vision"},
        "carbon": {"country_iso_code": "FRA", "pue": 1.2},
    },
}


class JobQuery(JobFilterQuery):
    """Which jobs to list."""

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE, description="jobs of one page")] = 50
    cursor: Annotated[
        str | None, Field(max_length=512, pattern=TEXT, description="a page's `next_cursor`")
    ] = None


def _job_query(request: Request) -> JobQuery:
    return query(request, JobQuery)


def _no_header_of_later(request: Request) -> None:
    errors = [
        FieldError(field=name, expected="no such header (not available yet)", received=given)
        for name in NOT_YET_HEADERS
        if (given := request.headers.get(name)) is not None
    ]
    if errors:
        raise SpecError(*errors)


@router.post(
    "/v1/jobs",
    operation_id="submit_job",
    status_code=202,
    response_model=JobView,
    responses=docs.problems(413, 415, 429, 503),
    openapi_extra=docs.json_body(JobSpec, SPECS),
    dependencies=[NoQueryHere, Depends(_no_header_of_later)],
)
async def submit_job(service: Serving, asked: Annotated[JobSpec, Depends(spec)]) -> Response:
    """Queue a training job. `Location` is where it is shown."""
    job = (await service.submit(asked)).public()
    return JSONResponse(job, status_code=202, headers={"Location": job["links"]["self"]})


@router.get(
    "/v1/jobs",
    operation_id="list_jobs",
    response_model=JobPageView,
    responses=docs.problems(503),
    openapi_extra=docs.query(JobQuery),
)
async def list_jobs(service: Serving, wanted: Annotated[JobQuery, Depends(_job_query)]) -> Response:
    """Jobs, newest first, a page at a time."""
    page = await service.list_jobs(wanted.meant(), limit=wanted.limit, cursor=wanted.cursor)
    items = [job.public() for job in page.items]
    return JSONResponse({"items": items, "next_cursor": page.next_cursor})


@router.get(
    "/v1/jobs/{job_id}",
    operation_id="get_job",
    response_model=JobView,
    responses=docs.problems(404, 503),
    dependencies=[NoQueryHere],
)
async def get_job(service: Serving, job_id: JobId) -> Response:
    """One job: its status, its progress, its spec."""
    return JSONResponse((await service.get(job_id)).public())


@router.post(
    "/v1/jobs/{job_id}/cancel",
    operation_id="cancel_job",
    status_code=202,
    response_model=JobView,
    responses=docs.problems(404, 409, 503),
    dependencies=[NoQueryHere],
)
async def cancel_job(service: Serving, job_id: JobId) -> Response:
    """Cancel a job: at once where it is queued, in moments where it runs."""
    return JSONResponse((await service.cancel(job_id)).public(), status_code=202)
