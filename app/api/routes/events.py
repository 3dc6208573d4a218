"""A job's news as it goes on."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api import docs
from app.api.events import EventStream, stream
from app.api.routes.requests import JobId, NoQueryHere, Serving

router = APIRouter(tags=["jobs"])

EXAMPLE = """event: status
data: {"status":"running","stage":"training","attempt":1,"error":null}
id: 0f3a6c1d9b27-1-3-5d41402abc4b-000000000000

event: power
data: {"attempt":1,"t_s":2.0,"cpu_w":8.1,"gpu_w":null,"ram_w":20.0}
id: 0f3a6c1d9b27-1-4-5d41402abc4b-000000000000

"""
LAST_EVENT_ID = docs.header(
    "Last-Event-ID",
    {"type": "string"},
    "the `id` of the last event that came: the stream goes on after it; from the beginning where "
    "it is none of this job's",
)
DATA = [
    {"$ref": f"#/components/schemas/{data}"} for data in ("Standing", "Progress", "PowerSample")
]
EVENT = {  # of each event: OpenAPI 3.1 describes a stream by its items
    "type": "object",
    "properties": {
        "event": {"type": "string", "enum": ["status", "progress", "power"]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"anyOf": DATA},
        },
        "id": {"type": "string", "maxLength": 80},
        "retry": {"type": "integer", "minimum": 0},
    },
}
STREAM = {"schema": EVENT, "example": EXAMPLE}


@router.get(
    "/v1/jobs/{job_id}/events",
    operation_id="follow_job",
    status_code=200,
    response_class=EventStream,
    response_description="The events",
    responses={
        200: {"content": {"text/event-stream": STREAM}},
        204: {"description": "The final status has been sent: nothing more will come"},
        **docs.problems(404, 503),
    },
    openapi_extra={"parameters": [LAST_EVENT_ID]},
    dependencies=[NoQueryHere],
)
async def follow_job(request: Request, service: Serving, job_id: JobId) -> Response:
    """A job's events `status`, `progress` and `power`, live, until its final status.

    They begin with what is so far; power with the first reading of the newest attempt. The final
    status comes last, after every power sample.
    """
    following = await service.follow(job_id, request.headers.get("last-event-id"))
    if following.over:
        return Response(status_code=204)
    return EventStream(stream(service, following, request.app.state.stopping))
