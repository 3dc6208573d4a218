"""Experiments: made of a base job and its variations, shown with what came of them, cancelled."""

import hashlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from app.api import docs
from app.api.events import RECONNECT_MS, EventStream
from app.api.routes.requests import (
    MAX_PAGE,
    TEXT,
    ForceQuery,
    NoQueryHere,
    Query,
    Serving,
    body,
    force_query,
    query,
)
from app.api.stopping import Stopping
from app.api.validation import json_object, validated
from app.domain.errors import SpecError, UnavailableError
from app.domain.experiments import Experiment, ExperimentResult, ExperimentSpec
from app.domain.specs import JobSpec
from app.service import Service

logger = logging.getLogger(__name__)

LOOK_S = 2.0  # between looks at an experiment that is followed

router = APIRouter(tags=["experiments"])

ExperimentId = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="the experiment's `id`")
]
EXAMPLES = {
    "a grid of four variants, five runs each": {
        "base": {"model_type": "cnn", "size": "base", "epochs": 3},
        "vary": {
            "batch_size": [32, 128],
            "execution.precision": ["float32", "mixed_bfloat16"],
        },
        "constraint": {"min_accuracy": 0.9},
    },
    "until the ratio is known within 3 %": {
        "name": "batch size",
        "base": {"model_type": "cnn", "dataset": {"name": "digits"}},
        "variants": [{}, {"batch_size": 128, "learning_rate": 0.002}],
        "repeats": {"min": 3, "max": 20},
        "stop": {"ratio_within": 0.03},
        "budget": {"energy_j": 20000},
    },
}


class ExperimentQuery(Query):
    """Which page of experiments."""

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE, description="experiments of one page")] = 50
    cursor: Annotated[
        str | None, Field(max_length=512, pattern=TEXT, description="a page's `next_cursor`")
    ] = None


class ExperimentLinks(BaseModel):
    """Where to go from an experiment."""

    self: str
    events: str
    jobs: str


class ExperimentView(Experiment):
    """An experiment with its links."""

    links: ExperimentLinks


class ExperimentResultView(ExperimentView):
    """And with what is known of it so far."""

    result: ExperimentResult


class ExperimentPageView(BaseModel):
    """A page of experiments, newest first. `next_cursor` is null on the last one."""

    items: list[ExperimentView]
    next_cursor: str | None


def _experiment_query(request: Request) -> ExperimentQuery:
    return query(request, ExperimentQuery)


async def _asked(request: Request) -> tuple[ExperimentSpec, list[tuple[str, JobSpec]]]:
    """The experiment that the body holds, and the job spec of each variant with its place."""
    spec = validated(ExperimentSpec, json_object(await body(request, of="experiment")))
    return spec, [(place, _variant(place, given)) for place, given in spec.bodies()]


def _variant(place: str, given: dict[str, Any]) -> JobSpec:
    try:
        return validated(JobSpec, given)
    except SpecError as error:
        raise error.within(place) from error


Asked = tuple[ExperimentSpec, list[tuple[str, JobSpec]]]


@router.post(
    "/v1/experiments",
    operation_id="create_experiment",
    status_code=202,
    response_model=ExperimentView,
    responses=docs.problems(413, 415, 429, 503) | {409: docs.documented(*docs.OVER_BUDGET)},
    openapi_extra=docs.json_body(ExperimentSpec, EXAMPLES) | docs.query(ForceQuery),
)
async def create_experiment(
    service: Serving,
    how: Annotated[ForceQuery, Depends(force_query)],
    asked: Annotated[Asked, Depends(_asked)],
) -> Response:
    """Queue every repeat of every variant, or nothing. `Location` is where it is shown."""
    made = (await service.create_experiment(*asked, force=how.force)).public()
    return JSONResponse(made, status_code=202, headers={"Location": made["links"]["self"]})


@router.get(
    "/v1/experiments",
    operation_id="list_experiments",
    response_model=ExperimentPageView,
    responses=docs.problems(503),
    openapi_extra=docs.query(ExperimentQuery),
)
async def list_experiments(
    service: Serving, wanted: Annotated[ExperimentQuery, Depends(_experiment_query)]
) -> Response:
    """Experiments, newest first, a page at a time, without their results.

    `spec.base.architecture` is null here, as in the list of jobs.
    """
    page = await service.list_experiments(limit=wanted.limit, cursor=wanted.cursor)
    items = [experiment.public() for experiment in page.items]
    for item in items:
        item["spec"]["base"]["architecture"] = None
    return JSONResponse({"items": items, "next_cursor": page.next_cursor})


@router.get(
    "/v1/experiments/{experiment_id}",
    operation_id="get_experiment",
    response_model=ExperimentResultView,
    responses=docs.problems(404, 503),
    dependencies=[NoQueryHere],
)
async def get_experiment(service: Serving, experiment_id: ExperimentId) -> Response:
    """One experiment with its result so far: variants, ratios, fronts, sentences."""
    found = await service.experiment(experiment_id)
    return JSONResponse(await _shown(service, found))


async def _shown(service: Service, found: Experiment) -> dict[str, Any]:
    known = await service.experiment_result(found)
    return {**found.public(), "result": known.model_dump(mode="json")}


@router.post(
    "/v1/experiments/{experiment_id}/cancel",
    operation_id="cancel_experiment",
    status_code=202,
    response_model=ExperimentView,
    responses=docs.problems(404, 409, 503),
    dependencies=[NoQueryHere],
)
async def cancel_experiment(service: Serving, experiment_id: ExperimentId) -> Response:
    """Cancel an experiment: its waiting jobs at once, the running one in moments."""
    return JSONResponse((await service.cancel_experiment(experiment_id)).public(), status_code=202)


@router.get(
    "/v1/experiments/{experiment_id}/events",
    operation_id="follow_experiment",
    status_code=200,
    response_class=EventStream,
    response_description="The events",
    responses={
        200: {
            "content": {
                "text/event-stream": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "event": {"type": "string", "enum": ["experiment"]},
                            "data": {
                                "type": "string",
                                "contentMediaType": "application/json",
                                "contentSchema": {
                                    "$ref": "#/components/schemas/ExperimentResultView"
                                },
                            },
                            "id": {"type": "string"},
                            "retry": {"type": "integer"},
                        },
                    }
                }
            }
        },
        **docs.problems(404, 503),
    },
    dependencies=[NoQueryHere],
)
async def follow_experiment(
    request: Request, service: Serving, experiment_id: ExperimentId
) -> Response:
    """An event `experiment`, with all that `GET` gives, whenever a job of it has moved on.

    The last one has `ended`.
    """
    await service.experiment(experiment_id)
    return EventStream(_stream(service, experiment_id, request.app.state.stopping))


async def _stream(service: Service, experiment_id: str, stopping: Stopping) -> AsyncIterator[bytes]:
    yield format_sse_event(retry=RECONNECT_MS)
    told, over = "", False
    while not (stopping.begun or over):
        try:
            found = await service.experiment(experiment_id)
            digest = hashlib.sha256(found.model_dump_json().encode()).hexdigest()[:12]
            data = json.dumps(await _shown(service, found)) if digest != told else None
        except UnavailableError as error:
            logger.warning("experiment %s stands still: %s", experiment_id, error)
            data = None
        if data is None:
            yield KEEPALIVE_COMMENT
        else:
            yield format_sse_event(data_str=data, event="experiment", id=digest)
            told, over = digest, found.ended is not None
        if not over:
            await stopping.sleep(LOOK_S)
