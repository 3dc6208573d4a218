"""How jobs compare."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from app.api import docs
from app.api.routes.requests import Query, Serving, query
from app.domain.comparisons import Comparison

Compared = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}(:[0-9]{1,3})?$")]

router = APIRouter(tags=["comparisons"])


class CompareQuery(Query):
    """Which two jobs or variants."""

    a: Annotated[
        Compared,
        Field(description="a job's identifier, or EXPERIMENT:NUMBER, a variant's, from 0"),
    ]
    b: Annotated[Compared, Field(description="of what is set against it")]


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

    A and B are jobs that succeeded, or variants of experiments with all their runs that did.

    `sentences` says it in words, the verdict first.
    """
    found = await service.compare(wanted.a, wanted.b)
    return JSONResponse(found.model_dump(mode="json"))
