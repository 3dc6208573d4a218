"""What a service answered: its JSON, or the domain error that it stands for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import httpx
from pydantic import ValidationError

from app.domain.errors import (
    FieldError,
    IdempotencyError,
    NameTakenError,
    NotFoundError,
    OverBudgetError,
    QueueFullError,
    SpecError,
    StateError,
    TrainwattError,
    UnavailableError,
    UsageError,
)

FIRST_SERVER_ERROR = 500
ERRORS: dict[int, type[TrainwattError]] = {
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.TOO_MANY_REQUESTS: QueueFullError,
}
CONFLICTS: dict[str, type[TrainwattError]] = {
    "urn:trainwatt:problem:idempotency-conflict": IdempotencyError,
    "urn:trainwatt:problem:name-taken": NameTakenError,
}

OVER_BUDGET = "urn:trainwatt:problem:over-budget"


@contextmanager
def reachable(url: str, timeout_s: float) -> Iterator[None]:
    """Turn what the transport raises into a sentence.

    Raises:
        UnavailableError: nothing answers, or not in time.
    """
    try:
        yield
    except httpx.TimeoutException as error:
        raise UnavailableError(
            f"the service at {url} did not answer within {timeout_s:g} s: look at "
            "its logs, or set TRAINWATT_URL to another one"
        ) from error
    except httpx.TransportError as error:
        raise UnavailableError(
            f"no service can be reached at {url}: start one with `trainwatt serve`, or "
            "set TRAINWATT_URL to where it runs"
        ) from error


@contextmanager
def understood(url: str) -> Iterator[None]:
    """Turn what reading an answer raises into a sentence.

    Raises:
        UnavailableError: it is none that trainwatt gives.
    """
    try:
        yield
    except (ValidationError, AttributeError, KeyError, TypeError) as error:
        raise UnavailableError(
            f"what answers at {url} is not trainwatt, or another version of it: set TRAINWATT_URL "
            "to where it runs"
        ) from error


def content(url: str, response: httpx.Response) -> Any:
    """The JSON of a response; null where it has none on purpose.

    Raises:
        TrainwattError: the one that the service's problem stands for.
    """
    if response.status_code == HTTPStatus.NO_CONTENT:
        return None
    body = _body(url, response)
    if response.is_success:
        return body
    raise _error(url, response.status_code, body if isinstance(body, dict) else {})


def text(url: str, response: httpx.Response) -> str:
    """The text of a response that is no JSON.

    Raises:
        TrainwattError: as `content`.
    """
    if response.is_success:
        return response.text
    raise _error(url, response.status_code, _body(url, response))


def _body(url: str, response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise UnavailableError(
            f"what answers at {url} does not speak as trainwatt does (HTTP "
            f"{response.status_code}, no JSON): set TRAINWATT_URL to where it runs"
        ) from error


def _error(url: str, status: int, problem: Mapping[str, Any]) -> TrainwattError:
    detail = str(problem.get("detail") or problem.get("title") or f"HTTP {status}")
    if status >= FIRST_SERVER_ERROR:
        return UnavailableError(
            f"the service at {url} cannot answer now: {detail} (request "
            f"{problem.get('request_id', 'unknown')}); look at its logs, or start it again "
            "with `trainwatt serve`"
        )
    if status == HTTPStatus.UNPROCESSABLE_ENTITY and problem.get("errors"):
        return SpecError(*map(_field_error, problem["errors"]))
    if status == HTTPStatus.CONFLICT:
        return _conflict(detail, problem)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return UsageError(f"{detail} Set TRAINWATT_API_KEY to a key of this service.")
    return ERRORS.get(status, UsageError)(detail)


def _conflict(detail: str, problem: Mapping[str, Any]) -> TrainwattError:
    kind = str(problem.get("type"))
    if kind == OVER_BUDGET:
        limit = _field_error(problem["errors"][0])
        return OverBudgetError(detail, limit=limit, quote=dict(problem["quote"]))
    if kind in CONFLICTS:
        return CONFLICTS[kind](detail)
    return StateError(detail, status=str(problem.get("job_status", "unknown")))


def _field_error(error: Mapping[str, Any]) -> FieldError:
    return FieldError(
        field=str(error.get("field", "")),
        expected=str(error.get("expected", "")),
        received=error.get("received"),
    )
