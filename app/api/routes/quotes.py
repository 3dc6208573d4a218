"""Quotes: what a job would cost, and how earlier quotes have held."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from app.api import docs
from app.api.events import until_final
from app.api.routes.requests import (
    NoQueryHere,
    Serving,
    WaitQuery,
    body,
    wait_query,
)
from app.api.validation import json_object, validated
from app.domain.quotes import Quote, QuoteRequest, TrackRecord

router = APIRouter(tags=["quotes"])

EXAMPLES = {
    "from jobs like it": {"spec": {"model_type": "cnn", "size": "base", "epochs": 3}},
    "from a pilot, where none are": {
        "spec": {"model_type": "rnn", "size": "small", "epochs": 20},
        "pilot": True,
    },
}


async def _asked(request: Request) -> QuoteRequest:
    return validated(QuoteRequest, json_object(await body(request, of="job to be quoted")))


@router.post(
    "/v1/quotes",
    operation_id="quote_job",
    response_model=Quote,
    responses=docs.problems(413, 415, 429, 503)
    | {202: {"model": Quote, "description": "A pilot waits or runs; ask again for the figures"}},
    openapi_extra=docs.json_body(QuoteRequest, EXAMPLES) | docs.query(WaitQuery),
)
async def quote_job(
    request: Request,
    service: Serving,
    how: Annotated[WaitQuery, Depends(wait_query)],
    asked: Annotated[QuoteRequest, Depends(_asked)],
) -> Response:
    """What a job would cost, with 90 % intervals: from jobs like it, or from a pilot.

    Nothing is queued unless `pilot` is true and too few jobs are like it. The answer is 202 then,
    until the pilot has ended, or 200 where that is within `wait`.
    """
    quote = await service.quote(asked.spec, host=asked.host, pilot=asked.pilot)
    if quote.pending and how.wait:
        pilot = await service.get(str(quote.pilot_job))
        await until_final(request, service, pilot, request.app.state.stopping, how.wait)
        quote = await service.quote(asked.spec, host=asked.host)
    return JSONResponse(quote.model_dump(mode="json"), status_code=202 if quote.pending else 200)


@router.get(
    "/v1/quotes/track-record",
    operation_id="track_record",
    response_model=TrackRecord,
    responses=docs.problems(503),
    dependencies=[NoQueryHere],
)
async def track_record(service: Serving) -> Response:
    """How far quotes were off, and how many of their intervals held, by host and family.

    Of the newest 10,000 quotes whose jobs succeeded on the host that they were of.
    """
    return JSONResponse((await service.track_record()).model_dump(mode="json"))
