"""What a job leaves behind: its report, and the readings that it is computed from."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.api import docs
from app.api.routes.requests import JobId, NoQueryHere, Query, Serving, query
from app.domain.readings import Readings
from app.domain.reports import EnergyReport

PARQUET = "application/vnd.apache.parquet"

router = APIRouter(tags=["reports"])


class ReadingsQuery(Query):
    """Which readings of a job."""

    attempt: Annotated[
        int | None, Field(ge=1, le=2**31 - 1, description="its number; left out: the newest")
    ] = None


def _readings_query(request: Request) -> ReadingsQuery:
    return query(request, ReadingsQuery)


@router.get(
    "/v1/jobs/{job_id}/report",
    operation_id="get_report",
    response_model=EnergyReport,
    responses=docs.problems(404, 409, 503),
    dependencies=[NoQueryHere],
)
async def get_report(service: Serving, job_id: JobId) -> Response:
    """The energy report of a final job."""
    return Response(await service.report(job_id), media_type="application/json")


@router.get(
    "/v1/jobs/{job_id}/readings",
    operation_id="get_readings",
    response_model=Readings,
    responses=docs.problems(404, 406, 409, 503),
    openapi_extra=docs.query(ReadingsQuery),
)
async def get_readings(
    request: Request,
    service: Serving,
    job_id: JobId,
    wanted: Annotated[ReadingsQuery, Depends(_readings_query)],
) -> Response:
    """The raw readings of an attempt: what the report is computed from."""
    if PARQUET in request.headers.get("accept", ""):
        raise HTTPException(406, "Readings can be had as application/json alone for now.")
    readings = await service.readings(job_id, wanted.attempt)
    return Response(readings.to_bytes(), media_type="application/json")
