"""Jobs: submit and wait, list, show, cancel."""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from app.api import docs
from app.api.events import until_final
from app.api.routes.requests import (
    MAX_PAGE,
    TEXT,
    ForceQuery,
    JobFilterQuery,
    JobId,
    NoQueryHere,
    Serving,
    WaitQuery,
    query,
    spec,
)
from app.api.routes.views import JobPageView, JobView
from app.domain.errors import FieldError, SpecError
from app.domain.specs import JobSpec

IDEMPOTENCY_KEY = "Idempotency-Key"
KEY = r"[\x20-\x7e]{1,255}"

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


class SubmitQuery(ForceQuery, WaitQuery):
    """How a job is submitted."""


def _submit_query(request: Request) -> SubmitQuery:
    return query(request, SubmitQuery)


def _idempotency_key(request: Request) -> str | None:
    given = request.headers.getlist(IDEMPOTENCY_KEY)
    if given and (len(given) > 1 or not re.fullmatch(KEY, given[0])):
        received = given if len(given) > 1 else given[0]
        expected = "one header of 1 to 255 printable ASCII characters"
        raise SpecError(FieldError(field=IDEMPOTENCY_KEY, expected=expected, received=received))
    return given[0] if given else None


SUBMISSION = docs.json_body(JobSpec, SPECS) | {
    "parameters": [
        *docs.query(SubmitQuery)["parameters"],
        docs.header(
            IDEMPOTENCY_KEY,
            {"type": "string", "minLength": 1, "maxLength": 255, "pattern": f"^{KEY}$"},
            "sent again with the same spec within 24 hours, it gives the job that it made",
        ),
    ]
}


@router.post(
    "/v1/jobs",
    operation_id="submit_job",
    status_code=202,
    response_model=JobView,
    responses=docs.problems(413, 415, 429, 503) | {409: docs.documented(*docs.CONFLICT)},
    openapi_extra=SUBMISSION,
)
async def submit_job(
    request: Request,
    service: Serving,
    how: Annotated[SubmitQuery, Depends(_submit_query)],
    key: Annotated[str | None, Depends(_idempotency_key)],
    asked: Annotated[JobSpec, Depends(spec)],
) -> Response:
    """Queue a training job. `Location` is where it is shown.

    A client that goes away while it waits leaves the job as it is.
    """
    made = await service.submit(asked, key=key, force=how.force)
    if how.wait and not made.status.final:
        stopping = request.app.state.stopping
        made = await until_final(request, service, made, stopping, how.wait)
    job = made.public()
    return JSONResponse(job, status_code=202, headers={"Location": job["links"]["self"]})


@router.get(
    "/v1/jobs",
    operation_id="list_jobs",
    response_model=JobPageView,
    responses=docs.problems(503),
    openapi_extra=docs.query(JobQuery),
)
async def list_jobs(service: Serving, wanted: Annotated[JobQuery, Depends(_job_query)]) -> Response:
    """Jobs, newest first, a page at a time.

    `spec.architecture` is null here: each may be as long as a body may, and `GET /v1/jobs/{id}`
    has it.
    """
    page = await service.list_jobs(wanted.meant(), limit=wanted.limit, cursor=wanted.cursor)
    items = [job.public() for job in page.items]
    for item in items:
        if item["spec"] is not None:
            item["spec"]["architecture"] = None
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
