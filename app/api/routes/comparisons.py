"""How jobs compare."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from app.api import docs
from app.api.routes.requests import Query, Serving, query
from app.domain.comparisons import Comparison

JobName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]

router = APIRouter(tags=["comparisons"])


class CompareQuery(Query):
    """Which two jobs."""

    a: Annotated[JobName, Field(description="identifier of the job that the other is set against")]
    b: Annotated[JobName, Field(description="identifier of the other one")]


def _compare_query(request: Request) -> CompareQuery:
    return query(request, CompareQuery)


@router.get(
    "/v1/compare",
    operation_id="compare",
    response_model=Comparison,
    responses=docs.problems(404, 409, 503),
    openapi_extra=docs.query(CompareQuery),
)
async def compare(
    service: Serving, wanted: Annotated[CompareQuery, Depends(_compare_query)]
) -> Response:
    """B's energy over A's, its ends under every assumption, and whether the ranking holds.

    `sentences` says it in words, the verdict first.
    """
    found = await service.compare(wanted.a, wanted.b)
    return JSONResponse(found.model_dump(mode="json"))
