"""A report in another one's format."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.responses import Response

from app.api import docs
from app.api.routes.evaluation import EvaluationQuery
from app.api.routes.requests import JobId, Serving, query
from app.domain.evaluation import Evaluation
from app.domain.reports import EnergyReport
from app.exports.formats import FORMATS, Options
from app.exports.sci import Unit

Name = Literal["codecarbon", "model-card", "sci", "statement"]

router = APIRouter(tags=["reports"])


class ExportQuery(EvaluationQuery):
    """As an evaluation, and what the format `sci` may be asked for."""

    unit: Annotated[Unit, Field(description="of `sci`: the functional unit")] = "training"
    embodied_g: Annotated[
        float | None,
        Field(ge=0, le=1e12, description="of `sci`: grams of CO2e of the hardware's making"),
    ] = None


def _export_query(request: Request) -> ExportQuery:
    return query(request, ExportQuery)


JSON = "application/json"
CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            one.media_type: {"schema": {"type": "object" if one.media_type == JSON else "string"}}
            for one in FORMATS.values()
        },
        "description": "The report in this format",
    }
}


@router.get(
    "/v1/jobs/{job_id}/exports/{name}",
    operation_id="export_report",
    response_class=Response,
    responses=docs.problems(404, 409, 503) | CONTENT,
    openapi_extra=docs.query(ExportQuery),
)
async def export_report(
    service: Serving,
    job_id: JobId,
    name: Name,
    wanted: Annotated[ExportQuery, Depends(_export_query)],
) -> Response:
    """The energy report of a final job in another one's format, evaluated as in `…/report`."""
    asked = dict(wanted)
    options = Options(unit=asked.pop("unit"), embodied_g=asked.pop("embodied_g"))
    report = EnergyReport.model_validate_json(await service.evaluated(job_id, Evaluation(**asked)))
    made = FORMATS[name]
    headers = {"Content-Disposition": f'attachment; filename="{job_id}-{made.file_name}"'}
    return Response(made.make(report, options), media_type=made.media_type, headers=headers)
