"""What every route reads of a request: the service, query parameters, a JSON body."""

from typing import Annotated, TypeVar

from fastapi import Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from app.api.validation import json_object, validated
from app.domain.errors import FieldError, SpecError, UnavailableError
from app.domain.jobs import JobFilter, JobStatus
from app.domain.specs import JobSpec
from app.service import Service

MAX_BODY_BYTES = 2**20
MAX_PAGE = 500
MAX_WAIT_S = 300
TEXT = r"^[^\x00]+$"  # PostgreSQL's texts have no character U+0000


class Query(BaseModel):
    """Query parameters; those that we do not know are refused."""

    model_config = ConfigDict(extra="forbid")


class JobFilterQuery(Query):
    """Which jobs are meant."""

    status: JobStatus | None = None
    model_type: Annotated[str | None, Field(max_length=64, pattern=TEXT)] = None
    host: Annotated[str | None, Field(max_length=256, pattern=TEXT)] = None
    tag: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z0-9._-]{1,64}:[^\x00]{0,256}$", description="key:value"),
    ] = None

    experiment: Annotated[
        str | None, Field(max_length=64, pattern=TEXT, description="its identifier")
    ] = None

    def meant(self) -> JobFilter:
        """The filter that these parameters describe."""
        tag = self.tag.split(":", 1) if self.tag else None
        return JobFilter(
            status=self.status,
            model_type=self.model_type,
            host=self.host,
            tag=(tag[0], tag[1]) if tag else None,
            experiment=self.experiment,
        )


class ForceQuery(Query):
    """Whether a limit that is expected to be exceeded matters."""

    force: Annotated[
        bool,
        Field(description="take it too where its quote's low end exceeds a limit that it has"),
    ] = False


class WaitQuery(Query):
    """How long an answer may wait for a job."""

    wait: Annotated[
        float,
        Field(
            ge=0,
            le=MAX_WAIT_S,
            allow_inf_nan=False,
            description="answer when the job is final, or after so many seconds",
        ),
    ] = 0.0


class NoQuery(Query):
    """No query parameter at all."""


Known = TypeVar("Known", bound=Query)


async def serving(request: Request) -> Service:
    """The service behind the app.

    Raises:
        UnavailableError: it has not started yet.
    """
    service: Service | None = getattr(request.app.state, "service", None)
    if service is None:
        raise UnavailableError("The service has not started yet.")
    return service


def query(request: Request, model: type[Known]) -> Known:
    """The query parameters as this model.

    Raises:
        SpecError: one is unknown, does not hold, or comes twice.
    """
    given = request.query_params
    for name in given:
        if len(given.getlist(name)) > 1:
            every = given.getlist(name)
            raise SpecError(FieldError(field=name, expected="once at most", received=every))
    return validated(model, dict(given), noun="query parameter")


def wait_query(request: Request) -> WaitQuery:
    """How long the answer may wait."""
    return query(request, WaitQuery)


def force_query(request: Request) -> ForceQuery:
    """Whether the request forces what it asks for."""
    return query(request, ForceQuery)


async def no_query(request: Request) -> None:
    """Refuse every query parameter."""
    if request.scope["query_string"]:
        query(request, NoQuery)


async def spec(request: Request) -> JobSpec:
    """The job spec that the body holds.

    Raises:
        SpecError: a field does not hold.
        HTTPException: as `body`.
    """
    return validated(JobSpec, json_object(await body(request)))


async def body(request: Request, most_bytes: int = MAX_BODY_BYTES, of: str = "job spec") -> bytes:
    """A JSON body, bounded.

    Args:
        request: with the body.
        most_bytes: how long it may be, whole MiB.
        of: what it is, for a sentence.

    Raises:
        HTTPException: it is of another media type (415) or too long (413).
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        got = f"not as {media[:64]}" if media else "with the header Content-Type"
        raise HTTPException(415, f"Send the {of} as application/json, {got}.")
    too_long = HTTPException(
        413, f"The body is longer than {most_bytes} bytes ({most_bytes // 2**20} MiB)."
    )
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > most_bytes:
        raise too_long  # without waiting for it
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > most_bytes:
            raise too_long
    return bytes(received)


JobId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="the job's `id`")]
Serving = Annotated[Service, Depends(serving)]
NoQueryHere = Depends(no_query)
