"""The typed Python client of a running service: plain calls over HTTP, errors as domain errors."""

import ipaddress
import json
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel

from app.domain.datasets import UploadedDataset
from app.domain.errors import (
    FieldError,
    IdempotencyError,
    NameTakenError,
    NotFoundError,
    QueueFullError,
    SpecError,
    StateError,
    TrainwattError,
    UnavailableError,
    UsageError,
)
from app.domain.events import JobEvent, PowerSample, Standing
from app.domain.hosts import Host
from app.domain.jobs import Job, JobStatus, Progress
from app.domain.quantities import Frozen
from app.domain.readings import Readings
from app.domain.report_rows import NEWEST_FIRST, ReportRow, ReportSort
from app.domain.reports import EnergyReport
from app.domain.specs import JobSpec

Model = TypeVar("Model", bound=BaseModel)

DEFAULT_TIMEOUT_S = 30.0
SILENCE_S = 30.0  # an event stream says something every five seconds
AGAIN_S = 1.0  # after a stream broke
PATIENCE_S = 60.0  # how long a service whose stream broke may be away
KINDS: dict[str, type[Standing | Progress | PowerSample]] = {
    "status": Standing,
    "progress": Progress,
    "power": PowerSample,
}
FIRST_SERVER_ERROR = 500
ERRORS: dict[int, type[TrainwattError]] = {
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.TOO_MANY_REQUESTS: QueueFullError,
}
JSON_BODY = {"Content-Type": "application/json"}
FILE_BODY = {"Content-Type": "application/octet-stream"}
LOOKING_S = 600.0  # what an upload is given to be looked through and kept, once it is sent
EVENT_STREAM = "text/event-stream"
CONFLICTS: dict[str, type[TrainwattError]] = {
    "urn:trainwatt:problem:idempotency-conflict": IdempotencyError,
    "urn:trainwatt:problem:name-taken": NameTakenError,
}


class JobList(Frozen):
    """One page of jobs, newest first; `next_cursor` is null on the last one."""

    items: tuple[Job, ...]
    next_cursor: str | None


class RowList(Frozen):
    """One page of flat rows of reports; `next_cursor` is null on the last one."""

    items: tuple[ReportRow, ...]
    next_cursor: str | None


class Client:
    """A service at one URL. A context manager; every call raises domain errors alone.

    Answers of a newer service are understood: fields that this client does not know are ignored.
    """

    def __init__(
        self, url: str, api_key: str | None = None, *, timeout: float = DEFAULT_TIMEOUT_S
    ) -> None:
        """Open no connection yet.

        Args:
            url: where the service answers, `http://127.0.0.1:8000`.
            api_key: sent as a bearer token where given.
            timeout: seconds that one call may take.

        Raises:
            UsageError: the URL is not one, or the key cannot stand in a header.
        """
        self.url = url.rstrip("/")
        self._timeout_s = timeout
        self._http = httpx.Client(
            base_url=_checked(self.url),
            headers={"Authorization": f"Bearer {_sendable(api_key)}"} if api_key else {},
            timeout=timeout,
            trust_env=not _is_loopback(self.url),  # no proxy stands between us and ourselves
        )

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        file: BinaryIO | None = None,
        params: Mapping[str, str | float | None] | None = None,
        headers: Mapping[str, str] | None = None,
        longer_s: float = 0.0,
    ) -> Any:
        """One call, answered as the API's own JSON; it may take `longer_s` seconds more.

        A body is sent as JSON, a file as it is.

        Raises:
            SpecError: the service refuses the spec or a parameter (422).
            NotFoundError: there is no such thing (404).
            StateError: the thing's state does not allow this (409).
            IdempotencyError: the idempotency key stands for another spec (409).
            NameTakenError: the name stands for other data (409).
            QueueFullError: too many jobs wait (429).
            UsageError: the service refuses the call in another way (other 4xx).
            UnavailableError: nothing answers, not in time, or not as trainwatt would.
        """
        given = {name: value for name, value in (params or {}).items() if value is not None}
        media = FILE_BODY if file else JSON_BODY if body else {}
        with self._reachable():
            response = self._http.request(
                method,
                path,
                content=file or _encoded(body),
                headers={**media, **(headers or {})},
                params=given,
                timeout=self._timeout_s + longer_s,
            )
        return self._answer(response)

    def submit(
        self,
        spec: JobSpec | Mapping[str, Any],
        *,
        wait: float | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Queue a training; the job as it was queued.

        Args:
            spec: what to train.
            wait: seconds to wait for the job to end; the job as it is then.
            idempotency_key: sent again with the same spec, it gives the job that it made.

        Raises:
            SpecError: a field of the spec, the wait or the key does not hold.
            IdempotencyError: the key was sent with another spec before.
            QueueFullError: too many jobs wait already.
            UnavailableError: the service does not answer.
        """
        body = spec.model_dump(mode="json") if isinstance(spec, JobSpec) else spec
        params, headers = {"wait": wait}, key_header(idempotency_key)
        return as_job(
            self.call(
                "POST",
                "/v1/jobs",
                body=body,
                params=params,
                headers=headers,
                longer_s=wait or 0.0,
            )
        )

    def events(
        self, job_id: str, *, after: str | None = None, patience_s: float = PATIENCE_S
    ) -> Iterator[JobEvent]:
        """What happens to a job, as it happens, until its final status.

        A lost connection is made again and goes on after the last event.

        Args:
            job_id: the job.
            after: the id of an event: begin after it.
            patience_s: how long the service may be away, in seconds.

        Raises:
            NotFoundError: there is no such job.
            UnavailableError: the service was away for longer.
        """
        here_s = time.monotonic()
        while True:
            try:
                with closing(self._stream(job_id, after)) as stream:
                    for event in stream:
                        here_s = time.monotonic()
                        if event is None:
                            continue
                        after = event.id
                        yield event
                        if isinstance(event.data, Standing) and event.data.status.final:
                            return
            except _OverError:
                return
            except UnavailableError:
                if time.monotonic() - here_s > patience_s:
                    raise
            time.sleep(AGAIN_S)

    def _stream(self, job_id: str, after: str | None) -> Generator[JobEvent | None]:
        """One connection's events; null where the service said something else."""
        headers = {"Accept": EVENT_STREAM} | ({"Last-Event-ID": after} if after else {})
        limits = httpx.Timeout(self._timeout_s, read=SILENCE_S)
        path = f"{job_path(job_id)}/events"
        with (
            self._reachable(),
            self._http.stream("GET", path, headers=headers, timeout=limits) as response,
        ):
            if response.status_code == HTTPStatus.NO_CONTENT:
                raise _OverError
            if not response.headers.get("content-type", "").startswith(EVENT_STREAM):
                response.read()
                self._answer(response)
                raise UnavailableError(f"what answers at {self.url} sends no events")
            try:
                yield from _events(response.iter_bytes())
            except ValueError as error:
                raise UnavailableError(
                    f"the events of {self.url} cannot be understood: {error}"
                ) from error

    def get(self, job_id: str) -> Job:
        """One job.

        Raises:
            NotFoundError: there is no such job.
            UnavailableError: the service does not answer.
        """
        return as_job(self.call("GET", job_path(job_id)))

    def list(
        self,
        *,
        status: JobStatus | None = None,
        model_type: str | None = None,
        host: str | None = None,
        tag: tuple[str, str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> JobList:
        """One page of jobs, newest first.

        Raises:
            SpecError: a filter or the cursor does not hold.
            UnavailableError: the service does not answer.
        """
        params = {
            **_filters(status, model_type, host, tag),
            "limit": limit,
            "cursor": cursor,
        }
        page = self.call("GET", "/v1/jobs", params=params)
        return JobList(items=tuple(map(as_job, page["items"])), next_cursor=page.get("next_cursor"))

    def cancel(self, job_id: str) -> Job:
        """Ask for the end of a job; a queued one is cancelled at once.

        Raises:
            NotFoundError: there is no such job.
            StateError: the job is final already.
            UnavailableError: the service does not answer.
        """
        return as_job(self.call("POST", f"{job_path(job_id)}/cancel"))

    def report(
        self,
        job_id: str,
        *,
        assumptions: str | None = None,
        country_iso_code: str | None = None,
        region: str | None = None,
        intensity_g_per_kwh: float | None = None,
        pue: float | None = None,
    ) -> EnergyReport:
        """The energy report of a final job; what is given is evaluated again from its readings.

        Args:
            job_id: the job.
            assumptions: a set of assumptions by name.
            country_iso_code: whose price of a kilowatt-hour; without a region the whole country.
            region: of that country, or of the report's.
            intensity_g_per_kwh: grams of CO2e a kilowatt-hour, instead of a table's figure.
            pue: power usage effectiveness, 1 or more.

        Raises:
            SpecError: something given is not known or does not hold.
            NotFoundError: there is no such job.
            StateError: the job is not final yet, or its readings cannot be accounted for again.
            UnavailableError: the service does not answer.
        """
        params = {
            "assumptions": assumptions,
            "country_iso_code": country_iso_code,
            "region": region,
            "intensity_g_per_kwh": intensity_g_per_kwh,
            "pue": pue,
        }
        path = f"{job_path(job_id)}/report"
        return parse(EnergyReport, self.call("GET", path, params=params))

    def reports(
        self,
        *,
        status: JobStatus | None = None,
        model_type: str | None = None,
        host: str | None = None,
        tag: tuple[str, str] | None = None,
        sort: ReportSort = NEWEST_FIRST,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> RowList:
        """One page of flat rows, a report each; with `-` the largest or newest come first.

        Raises:
            SpecError: a filter or the cursor does not hold.
            UnavailableError: the service does not answer.
        """
        params = {
            **_filters(status, model_type, host, tag),
            "sort": sort,
            "limit": limit,
            "cursor": cursor,
        }
        page = self.call("GET", "/v1/reports", params=params)
        rows = tuple(parse(ReportRow, item) for item in page["items"])
        return RowList(items=rows, next_cursor=page.get("next_cursor"))

    def export(self, job_id: str, name: str, **params: str | float | None) -> str:
        """The report of a final job in another one's format.

        Args:
            job_id: the job.
            name: `codecarbon`, `model-card`, `sci` or `statement`.
            params: with what it is evaluated, as in `report`; of `sci`, `unit` and `embodied_g`.

        Raises:
            NotFoundError: there is no such job, or no such format.
            StateError: the job is not final.
            SpecError: a parameter does not hold.
            UnavailableError: the service does not answer.
        """
        given = {key: value for key, value in params.items() if value is not None}
        with self._reachable():
            response = self._http.get(
                f"{job_path(job_id)}/exports/{quote(name, safe='')}", params=given
            )
        return response.text if response.is_success else str(self._answer(response))

    def readings(self, job_id: str, attempt: int | None = None) -> Readings:
        """The raw readings of an attempt of a job, the newest where none is named.

        Raises:
            NotFoundError: there is no such job, or no such attempt of it.
            StateError: the job has no readings.
            UnavailableError: the service does not answer.
        """
        path = f"{job_path(job_id)}/readings"
        return parse(Readings, self.call("GET", path, params={"attempt": attempt}))

    def hosts(self) -> tuple[Host, ...]:
        """Every host that a worker announced.

        Raises:
            UnavailableError: the service does not answer.
        """
        return tuple(parse(Host, item) for item in self.call("GET", "/v1/hosts")["items"])

    def workloads(self) -> dict[str, Any]:
        """What can be trained: model types with their sizes, and data sets.

        Raises:
            UnavailableError: the service does not answer.
        """
        answer: dict[str, Any] = self.call("GET", "/v1/workloads")
        return answer

    def datasets(self) -> tuple[UploadedDataset, ...]:
        """The data sets of users, by name.

        Raises:
            UnavailableError: the service does not answer.
        """
        items = self.call("GET", "/v1/datasets")["items"]
        return tuple(parse(UploadedDataset, item) for item in items)

    def upload_dataset(self, path: Path, name: str) -> UploadedDataset:
        """Keep an `.npz` file as a data set; the same file twice under one name is kept once.

        Args:
            path: a file of `numpy.savez` with x_train, y_train and, if wanted, x_test, y_test.
            name: what `dataset.name` of a spec will say.

        Raises:
            SpecError: the name cannot be used, or the file holds no data set.
            NameTakenError: the name stands for other data.
            QueueFullError: too many data sets are being uploaded.
            UsageError: the file is longer than the service allows, or cannot be read.
            UnavailableError: the service does not answer.
        """
        return parse(UploadedDataset, self.call_with_file(path, name))

    def call_with_file(self, path: Path, name: str) -> Any:
        """As `upload_dataset`, answered as the API's own JSON."""
        try:
            file = path.open("rb")
        except OSError as error:
            raise UsageError(f"{path} cannot be read ({error.strerror})") from error
        with file:
            where, params = "/v1/datasets", {"name": name}
            return self.call("POST", where, file=file, params=params, longer_s=LOOKING_S)

    def delete_dataset(self, name: str) -> None:
        """Delete a data set of a user's.

        Raises:
            NotFoundError: there is none of this name.
            StateError: a job that is not final asks for it.
            UnavailableError: the service does not answer.
        """
        self.call("DELETE", f"/v1/datasets/{quote(name, safe='')}")

    def ready(self) -> bool:
        """Whether the service answers and everything that it needs does too; raises nothing."""
        try:
            self.call("GET", "/readyz")
        except TrainwattError:
            return False
        return True

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise UnavailableError(
                f"the service at {self.url} did not answer within {self._timeout_s:g} s: look at "
                "its logs, or set TRAINWATT_URL to another one"
            ) from error
        except httpx.TransportError as error:
            raise UnavailableError(
                f"no service can be reached at {self.url}: start one with `trainwatt serve`, or "
                "set TRAINWATT_URL to where it runs"
            ) from error

    def _answer(self, response: httpx.Response) -> Any:
        if response.status_code == HTTPStatus.NO_CONTENT:
            return None
        body = self._body(response)
        if response.is_success:
            return body
        raise self._error(response.status_code, body if isinstance(body, dict) else {})

    def _body(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError as error:
            raise UnavailableError(
                f"what answers at {self.url} does not speak as trainwatt does (HTTP "
                f"{response.status_code}, no JSON): set TRAINWATT_URL to where it runs"
            ) from error

    def _error(self, status: int, problem: dict[str, Any]) -> TrainwattError:
        detail = str(problem.get("detail") or problem.get("title") or f"HTTP {status}")
        if status >= FIRST_SERVER_ERROR:
            return UnavailableError(
                f"the service at {self.url} cannot answer now: {detail} (request "
                f"{problem.get('request_id', 'unknown')}); look at its logs, or start it again "
                "with `trainwatt serve`"
            )
        if status == HTTPStatus.UNPROCESSABLE_ENTITY and problem.get("errors"):
            return SpecError(*map(_field_error, problem["errors"]))
        if conflict := CONFLICTS.get(str(problem.get("type"))):
            return conflict(detail)
        if status == HTTPStatus.CONFLICT:
            return StateError(detail, status=str(problem.get("job_status", "unknown")))
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return UsageError(f"{detail} Set TRAINWATT_API_KEY to a key of this service.")
        return ERRORS.get(status, UsageError)(detail)


class _OverError(Exception):
    """A service has nothing more to say of a job."""


def key_header(idempotency_key: str | None) -> dict[str, str]:
    """The header of a submission with a key.

    Raises:
        SpecError: the key cannot stand in a header.
    """
    if idempotency_key is None:
        return {}
    if not (idempotency_key.isascii() and idempotency_key.isprintable()):
        expected = "1 to 255 printable ASCII characters"
        raise SpecError(
            FieldError(field="Idempotency-Key", expected=expected, received=idempotency_key)
        )
    return {"Idempotency-Key": idempotency_key}


def _events(chunks: Iterable[bytes]) -> Iterator[JobEvent | None]:
    """Server-Sent Events; null for a comment, and for a kind that we do not know yet."""
    fields: dict[str, str] = {}
    for line in _lines(chunks):
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        kind = KINDS.get(fields.get("event", ""))
        if kind is None or "data" not in fields:
            yield None
        else:
            data = parse(kind, json.loads(fields["data"]))
            yield JobEvent(id=fields.get("id", ""), data=data)
        fields = {}


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Whole lines; unlike `splitlines`, only where a line ends in an event stream."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode().removesuffix("\r") for line in whole)


def _filters(
    status: JobStatus | None, model_type: str | None, host: str | None, tag: tuple[str, str] | None
) -> dict[str, str | None]:
    """Which jobs are meant, as query parameters."""
    return {
        "status": status.value if status else None,
        "model_type": model_type,
        "host": host,
        "tag": ":".join(tag) if tag else None,
    }


def as_job(data: Mapping[str, Any]) -> Job:
    """A job from the API's JSON; links are left out."""
    return parse(Job, data)


def parse(model: type[Model], data: Any) -> Model:
    """A domain object from the API's JSON; fields that we do not know yet are ignored."""
    return model.model_validate(data, extra="ignore")


def job_path(job_id: str) -> str:
    """The path of one job."""
    return f"/v1/jobs/{quote(job_id, safe='')}"


def _field_error(error: Mapping[str, Any]) -> FieldError:
    return FieldError(
        field=str(error.get("field", "")),
        expected=str(error.get("expected", "")),
        received=error.get("received"),
    )


def _encoded(body: Any) -> bytes | None:
    """NaN and infinity go out as they are: the service names the field that they stand in."""
    return None if body is None else json.dumps(body).encode()


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and httpx.URL(url).host and parts.port != 0
    except (ValueError, httpx.InvalidURL):
        good = False
    if not good:
        raise UsageError(
            f"TRAINWATT_URL: expected a URL such as http://127.0.0.1:8000, received {url!r}"
        )
    return url


def _sendable(api_key: str) -> str:
    if not (api_key.isascii() and api_key.isprintable()):
        raise UsageError(
            "TRAINWATT_API_KEY: expected printable ASCII characters on one line, received others"
        )
    return api_key


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
