"""Errors as RFC 9457 problems: which error has which HTTP status, and what the answer says."""

import json
import logging
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path

from app.api.validation import MAX_TEXT, shown
from app.domain.errors import (
    IdempotencyError,
    NameTakenError,
    NotFoundError,
    OverBudgetError,
    QueueFullError,
    SpecError,
    StateError,
    TrainwattError,
    UnavailableError,
)
from app.domain.quotes import Quote

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:trainwatt:problem:"
INTERNAL_DETAIL = "Something went wrong here; the service's log has it under this request_id."


class FieldProblem(BaseModel):
    """One field that does not hold: what was expected, and what came."""

    field: str
    expected: str
    received: Any


class Problem(BaseModel):
    """An error as RFC 9457 has it; the last three members are there where they apply."""

    type: str = Field(examples=[f"{TYPE_PREFIX}spec-refused"])
    title: str
    status: int
    detail: str
    request_id: str = Field(description="also in the header X-Request-ID and in the log")
    errors: list[FieldProblem] = Field(default=[], description="the fields that do not hold")
    job_status: str | None = Field(default=None, description="409 wrong-state: what the job is in")
    quote: Quote | None = Field(default=None, description="409 over-budget: what it would cost")
    reasons: list[str] = Field(default=[], description="503 of /readyz: what is not ready yet")


@dataclass(frozen=True)
class Kind:
    """How a class of errors is answered; `retry_after_s` goes into the header Retry-After."""

    status: int
    slug: str
    title: str
    retry_after_s: int | None = None


KINDS: dict[type[TrainwattError], Kind] = {
    SpecError: Kind(422, "spec-refused", "What was sent cannot be honoured"),
    NotFoundError: Kind(404, "not-found", "There is no such thing"),
    StateError: Kind(409, "wrong-state", "Its state does not allow this"),
    OverBudgetError: Kind(409, "over-budget", "It is expected to exceed its own limit"),
    IdempotencyError: Kind(409, "idempotency-conflict", "The key stands for something else"),
    NameTakenError: Kind(409, "name-taken", "The name stands for something else"),
    QueueFullError: Kind(429, "queue-full", "The queue is full", retry_after_s=10),
    UnavailableError: Kind(503, "unavailable", "Something that is needed does not answer", 5),
}

INTERNAL = Kind(500, "internal-error", "Internal error")
HTTP_KINDS: dict[int, Kind] = {  # Python's own phrases differ from version to version
    404: KINDS[NotFoundError],
    405: Kind(405, "method-not-allowed", "The path does not take this method"),
    406: Kind(406, "not-acceptable", "It cannot be had in this format"),
    408: Kind(408, "request-timeout", "The body did not come"),
    413: Kind(413, "content-too-large", "The body is too long"),
    415: Kind(415, "unsupported-media-type", "The body is of the wrong media type"),
}


def problem(
    request_id: str, kind: Kind, detail: str, headers: dict[str, str] | None = None, **members: Any
) -> Response:
    """The answer to an error; `members` are those of `Problem` that this kind of error has."""
    body = {
        "type": TYPE_PREFIX + kind.slug,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "request_id": request_id,
        **members,
    }
    retry = {} if kind.retry_after_s is None else {"Retry-After": str(kind.retry_after_s)}
    return Response(
        json.dumps(body, ensure_ascii=False, allow_nan=False),
        status_code=kind.status,
        headers={**retry, **(headers or {})},
        media_type=MEDIA_TYPE,
    )


def internal_error(request_id: str) -> Response:
    """The answer where the fault is ours: nothing of its cause goes out."""
    return problem(request_id, INTERNAL, INTERNAL_DETAIL)


def add_handlers(app: FastAPI) -> None:
    """Answer every error that is raised on purpose as a problem."""
    app.add_exception_handler(TrainwattError, _on_own_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_path)


async def _on_own_error(request: Request, error: Exception) -> Response:
    request_id = request.state.request_id
    kind = next((KINDS[cls] for cls in type(error).__mro__ if cls in KINDS), None)
    if kind is None:
        logger.error("request %s failed", request_id, exc_info=error)
        return internal_error(request_id)
    if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
        logger.warning("request %s: %s", request_id, error)
    if isinstance(error, SpecError):
        return problem(request_id, kind, _detail(error), errors=_fields(error))
    return problem(request_id, kind, str(error), **_members(error))


def _members(error: Exception) -> dict[str, Any]:
    if isinstance(error, StateError):
        return {"job_status": error.status}
    if not isinstance(error, OverBudgetError):
        return {}
    return {"quote": error.quote, "errors": [asdict(error.limit)]}


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    kind = HTTP_KINDS.get(status) or Kind(status, f"http-{status}", f"HTTP {status}")
    detail = str(error.detail)
    if detail == HTTPStatus(status).phrase:  # the router's, which does not name the path
        detail = f"{kind.title}: {shown(request.method)} {shown(request.url.path)}."
    headers = dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:  # the router names the first route's methods alone
        headers |= _allowed(request)
    return problem(request.state.request_id, kind, detail, headers)


def _allowed(request: Request) -> dict[str, str]:
    """The header that names every method of a documented path."""
    for path, operations in request.app.openapi()["paths"].items():
        if compile_path(path)[0].fullmatch(request.url.path):
            return {"Allow": ", ".join(sorted(map(str.upper, operations)))}
    return {}


async def _on_path(request: Request, _: Exception) -> Response:
    """Only paths are checked by the framework: an identifier of the wrong form is of nothing."""
    detail = f"There is nothing at {shown(request.url.path)}."
    return problem(request.state.request_id, KINDS[NotFoundError], detail)


def _detail(error: SpecError) -> str:
    first = next((e for e in error.errors if "did you mean" in e.expected), error.errors[0])
    received = json.dumps(shown(first.received), ensure_ascii=False)[: 2 * MAX_TEXT]
    more = f" (and {len(error.errors) - 1} more)" if len(error.errors) > 1 else ""
    return f"{first.field}: expected {first.expected}, received {received}{more}."


def _fields(error: SpecError) -> list[dict[str, Any]]:
    return [
        {"field": e.field, "expected": e.expected, "received": shown(e.received)}
        for e in error.errors
    ]
