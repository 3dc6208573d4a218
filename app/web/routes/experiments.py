"""Experiments as a list, and one with what came of it."""

from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from app.api.routes.experiments import ExperimentId, ExperimentQuery
from app.api.routes.requests import Serving
from app.api.validation import validated
from app.domain.experiments import Experiment, ExperimentResult, VariantResult
from app.web.charts import Scatter, scatter
from app.web.forms import filled, refuse_foreign
from app.web.pages import page
from app.words.units import duration, per_cent

router = APIRouter()


@router.get("/experiments")
async def experiments(request: Request, service: Serving) -> Response:
    """One page of them."""
    given = filled(request.query_params.multi_items())
    wanted = validated(ExperimentQuery, given, noun="query parameter")
    found = await service.list_experiments(limit=wanted.limit, cursor=wanted.cursor)
    following = urlencode({"cursor": found.next_cursor}) if found.next_cursor else None
    return page("experiments", here="/experiments", items=found.items, next_page=following)


@router.get("/experiments/{experiment_id}")
async def experiment(service: Serving, experiment_id: ExperimentId) -> Response:
    """Its answer, its variants, its pairs; drawn against accuracy and against duration."""
    found = await service.experiment(experiment_id)
    result = await service.experiment_result(found)
    return page(
        "experiment",
        here="",
        experiment=found,
        result=result,
        by_accuracy=_chart(found, result, accuracy=True),
        by_duration=_chart(found, result, accuracy=False),
    )


@router.post("/experiments/{experiment_id}/cancel")
async def cancel(request: Request, service: Serving, experiment_id: ExperimentId) -> Response:
    """End it, and show it again."""
    refuse_foreign(request.headers)
    await service.cancel_experiment(experiment_id)
    return RedirectResponse(f"/experiments/{experiment_id}", status_code=303)


def _chart(found: Experiment, result: ExperimentResult, *, accuracy: bool) -> Scatter | None:
    """Mean energy against mean accuracy or duration; null where too little is known."""
    points = []
    for variant in result.variants:
        other = variant.test_accuracy if accuracy else variant.duration_s
        if variant.energy_j and other:
            points.append((variant.energy_j.mean, other.mean, variant.label, _row(found, variant)))
    shown = per_cent if accuracy else duration
    return scatter(points, shown=shown, less_is_better=not accuracy)


def _row(found: Experiment, variant: VariantResult) -> str:
    return f"/experiments/{found.id}#variant-{variant.number}"
