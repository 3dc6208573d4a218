"""The routes of version 1: each reads what was sent, asks the service, and shapes the answer."""

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from app.api import docs
from app.api.problems import KINDS, problem
from app.api.validation import json_object, validated
from app.domain.errors import FieldError, SpecError, UnavailableError
from app.domain.hosts import Host
from app.domain.jobs import Job, JobFilter, JobStatus
from app.domain.readings import Readings
from app.domain.reports import EnergyReport
from app.domain.specs import JobSpec
from app.service import Service

MAX_BODY_BYTES = 2**20
MAX_PAGE = 500
PARQUET = "application/vnd.apache.parquet"
NOT_YET_HEADERS = ("Idempotency-Key",)  # named by the contract; refused rather than ignored

router = APIRouter()
TEXT = r"^[^\x00]+$"  # PostgreSQL's texts have no character U+0000


class Links(BaseModel):
    """Where to go from a job."""

    self: str
    report: str
    events: str


class JobView(Job):
    """A job with its links."""

    links: Links


class JobPageView(BaseModel):
    """A page of jobs, newest first. `next_cursor` is null on the last one."""

    items: list[JobView]
    next_cursor: str | None


class HostsView(BaseModel):
    """Every host whose worker has announced itself."""

    items: list[Host]


class SizeView(BaseModel):
    """One size of a model type on its default data set; FLOPs are forward and backward."""

    width: float
    depth: int
    parameters: int
    layers: int
    flops_per_sample: int | None
    memory_bytes: int


class ModelTypeView(BaseModel):
    """What can be trained."""

    name: str
    title: str
    description: str
    concept: str
    datasets: list[str]
    default_dataset: str
    sizes: dict[str, SizeView]


class DatasetView(BaseModel):
    """What to train on; the shape is that of one sample."""

    name: str
    title: str
    shape: list[int]
    classes: int
    training_samples: int
    validation_samples: int
    test_samples: int
    max_training_samples: int


class WorkloadsView(BaseModel):
    """The catalogue: model types with their sizes, and data sets."""

    model_types: list[ModelTypeView]
    datasets: list[DatasetView]


class StateView(BaseModel):
    """That the service lives, or is ready."""

    status: str


class Query(BaseModel):
    """Query parameters; those that we do not know are refused."""

    model_config = ConfigDict(extra="forbid")


class JobQuery(Query):
    """Which jobs to list."""

    status: JobStatus | None = None
    model_type: Annotated[str | None, Field(max_length=64, pattern=TEXT)] = None
    host: Annotated[str | None, Field(max_length=256, pattern=TEXT)] = None
    tag: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z0-9._-]{1,64}:[^\x00]{0,256}$", description="key:value"),
    ] = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE, description="jobs of one page")] = 50
    cursor: Annotated[
        str | None, Field(max_length=512, pattern=TEXT, description="a page's `next_cursor`")
    ] = None


class ReadingsQuery(Query):
    """Which readings of a job."""

    attempt: Annotated[
        int | None, Field(ge=1, le=2**31 - 1, description="its number; left out: the newest")
    ] = None


class NoQuery(Query):
    """No query parameter at all."""


Known = TypeVar("Known", bound=Query)


def _service(request: Request) -> Service:
    service: Service | None = getattr(request.app.state, "service", None)
    if service is None:
        raise UnavailableError("The service has not started yet.")
    return service


def _query(request: Request, model: type[Known]) -> Known:
    given = request.query_params
    for name in given:
        if len(given.getlist(name)) > 1:
            every = given.getlist(name)
            raise SpecError(FieldError(field=name, expected="once at most", received=every))
    return validated(model, dict(given), noun="query parameter")


def _job_query(request: Request) -> JobQuery:
    return _query(request, JobQuery)


def _readings_query(request: Request) -> ReadingsQuery:
    return _query(request, ReadingsQuery)


def _no_query(request: Request) -> None:
    _query(request, NoQuery)


def _no_header_of_later(request: Request) -> None:
    errors = [
        FieldError(field=name, expected="no such header (not available yet)", received=given)
        for name in NOT_YET_HEADERS
        if (given := request.headers.get(name)) is not None
    ]
    if errors:
        raise SpecError(*errors)


async def _spec(request: Request) -> JobSpec:
    return validated(JobSpec, json_object(await _body(request)))


async def _body(request: Request) -> bytes:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        got = f"not as {media[:64]}" if media else "with the header Content-Type"
        raise HTTPException(415, f"Send the job spec as application/json, {got}.")
    too_long = HTTPException(413, f"The body is longer than {MAX_BODY_BYTES} bytes (1 MiB).")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > MAX_BODY_BYTES:
        raise too_long  # without waiting for it
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise too_long
    return bytes(body)


JobId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="the job's `id`")]
Serving = Annotated[Service, Depends(_service)]
NoQueryHere = Depends(_no_query)

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


@router.post(
    "/v1/jobs",
    tags=["jobs"],
    operation_id="submit_job",
    status_code=202,
    response_model=JobView,
    responses=docs.problems(413, 415, 429, 503),
    openapi_extra=docs.json_body(JobSpec, SPECS),
    dependencies=[NoQueryHere, Depends(_no_header_of_later)],
)
async def submit_job(service: Serving, spec: Annotated[JobSpec, Depends(_spec)]) -> Response:
    """Queue a training job. `Location` is where it is shown."""
    job = (await service.submit(spec)).public()
    return JSONResponse(job, status_code=202, headers={"Location": job["links"]["self"]})


@router.get(
    "/v1/jobs",
    tags=["jobs"],
    operation_id="list_jobs",
    response_model=JobPageView,
    responses=docs.problems(503),
    openapi_extra=docs.query(JobQuery),
)
async def list_jobs(service: Serving, wanted: Annotated[JobQuery, Depends(_job_query)]) -> Response:
    """Jobs, newest first, a page at a time."""
    tag = wanted.tag.split(":", 1) if wanted.tag else None
    meant = JobFilter(
        status=wanted.status,
        model_type=wanted.model_type,
        host=wanted.host,
        tag=(tag[0], tag[1]) if tag else None,
    )
    page = await service.list_jobs(meant, limit=wanted.limit, cursor=wanted.cursor)
    items = [job.public() for job in page.items]
    return JSONResponse({"items": items, "next_cursor": page.next_cursor})


@router.get(
    "/v1/jobs/{job_id}",
    tags=["jobs"],
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
    tags=["jobs"],
    operation_id="cancel_job",
    status_code=202,
    response_model=JobView,
    responses=docs.problems(404, 409, 503),
    dependencies=[NoQueryHere],
)
async def cancel_job(service: Serving, job_id: JobId) -> Response:
    """Cancel a job: at once where it is queued, in moments where it runs."""
    return JSONResponse((await service.cancel(job_id)).public(), status_code=202)


@router.get(
    "/v1/jobs/{job_id}/report",
    tags=["jobs"],
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
    tags=["jobs"],
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


@router.get(
    "/v1/workloads",
    tags=["catalogue"],
    operation_id="list_workloads",
    response_model=WorkloadsView,
    responses=docs.problems(),
    dependencies=[NoQueryHere],
)
async def list_workloads(service: Serving) -> Response:
    """What can be trained: model types with sizes, parameters and FLOPs, and data sets."""
    return JSONResponse(service.workloads())


@router.get(
    "/v1/hosts",
    tags=["catalogue"],
    operation_id="list_hosts",
    response_model=HostsView,
    responses=docs.problems(503),
    dependencies=[NoQueryHere],
)
async def list_hosts(service: Serving) -> Response:
    """The workers' hosts: hardware, sensors, when they were last seen, what they run now."""
    hosts = await service.hosts()
    return JSONResponse({"items": [host.model_dump(mode="json") for host in hosts]})


@router.get(
    "/healthz",
    tags=["state"],
    operation_id="healthz",
    response_model=StateView,
    responses=docs.problems(),
    dependencies=[NoQueryHere],
)
async def healthz() -> dict[str, Any]:
    """That this process lives; nothing else is asked."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    tags=["state"],
    operation_id="readyz",
    response_model=StateView,
    responses=docs.problems(503),
    dependencies=[NoQueryHere],
)
async def readyz(request: Request, service: Serving) -> Response:
    """That jobs can be served; a 503 names in `reasons` what is not ready."""
    if reasons := await service.unready():
        detail = " ".join(reasons)
        kind = KINDS[UnavailableError]
        return problem(request.state.request_id, kind, detail, reasons=list(reasons))
    return JSONResponse({"status": "ready"})
