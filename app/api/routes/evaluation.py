"""The query parameters that evaluate a job's stored readings again."""

from typing import Annotated

from fastapi import Request
from pydantic import Field

from app.api.routes.requests import Query, query
from app.domain.evaluation import Evaluation


class EvaluationQuery(Query):
    """With what a report is computed again; its ranges are those of a spec's `carbon`."""

    assumptions: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            description="a set of assumptions by name; left out: as stored",
        ),
    ] = None
    country_iso_code: Annotated[
        str | None,
        Field(pattern=r"^[A-Z]{3}$", description="without a region: the whole country"),
    ] = None
    region: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=64,
            description="of that country, or of the report's where none is given",
        ),
    ] = None
    intensity_g_per_kwh: Annotated[
        float | None, Field(ge=0, le=10_000, description="instead of a table's figure")
    ] = None
    pue: Annotated[float | None, Field(ge=1, le=10, description="left out: as stored")] = None


async def evaluation(request: Request) -> Evaluation:
    """What a request wants otherwise than stored.

    Raises:
        SpecError: a parameter is unknown, does not hold, or comes twice.
    """
    return Evaluation(**dict(query(request, EvaluationQuery)))
