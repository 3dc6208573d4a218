"""The client of a service for programs that use asyncio: the same calls, awaited."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar

import httpx

from app.client import asks, stream
from app.client.address import bearer, checked, is_loopback
from app.client.answers import content, reachable, text, understood
from app.client.asks import FILE_BODY, JSON_BODY, LOOKING_S, Ask
from app.client.models import ExperimentList, ExperimentReport, JobList, Report, RowList, parse
from app.client.sync import DEFAULT_TIMEOUT_S
from app.client.tracked import AsyncJob
from app.domain.comparisons import Comparison
from app.domain.datasets import UploadedDataset
from app.domain.errors import TrainwattError, UnavailableError, UsageError
from app.domain.events import JobEvent
from app.domain.experiments import Experiment
from app.domain.hosts import Host
from app.domain.jobs import Job, JobStatus
from app.domain.posted import PostedReport
from app.domain.quotes import Quote, TrackRecord
from app.domain.readings import Readings
from app.domain.report_rows import NEWEST_FIRST, ReportSort
from app.domain.specs import JobSpec

Answer = TypeVar("Answer")

PIECE_BYTES = 2**20


class AsyncClient:
    """A service at one URL: `Client`, awaited. An asynchronous context manager."""

    def __init__(
        self, url: str, api_key: str | None = None, *, timeout: float = DEFAULT_TIMEOUT_S
    ) -> None:
        """Open no connection yet; arguments and errors as `Client`."""
        self.url = url.rstrip("/")
        self._timeout_s = timeout
        self._http = httpx.AsyncClient(
            base_url=checked(self.url),
            headers=bearer(api_key),
            timeout=timeout,
            trust_env=not is_loopback(self.url),  # no proxy stands between us and ourselves
        )

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def call(
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
        """One call, answered as the API's own JSON; arguments and errors as `Client.call`."""
        media = _file_headers(file) if file else JSON_BODY if body else {}
        with reachable(self.url, self._timeout_s):
            response = await self._http.request(
                method,
                path,
                content=_pieces(file) if file else asks.encoded(body),
                headers={**media, **(headers or {})},
                params=asks.given(params),
                timeout=self._timeout_s + longer_s,
            )
        return content(self.url, response)

    async def submit(
        self,
        spec: JobSpec | Mapping[str, Any],
        *,
        wait: float | None = None,
        idempotency_key: str | None = None,
        force: bool = False,
    ) -> AsyncJob:
        """As `Client.submit`."""
        return self._tracked(await self._do(asks.submit(spec, wait, idempotency_key, force=force)))

    async def quote(
        self,
        spec: JobSpec | Mapping[str, Any],
        *,
        host: str | None = None,
        pilot: bool = False,
        wait: float | None = None,
    ) -> Quote:
        """As `Client.quote`."""
        return await self._do(asks.quote_job(spec, host, pilot=pilot, wait=wait))

    async def track_record(self) -> TrackRecord:
        """As `Client.track_record`."""
        return await self._do(asks.track_record())

    async def events(
        self, job_id: str, *, after: str | None = None, patience_s: float = stream.PATIENCE_S
    ) -> AsyncIterator[JobEvent]:
        """As `Client.events`."""
        here_s = time.monotonic()
        while True:
            try:
                async with aclosing(self._stream(job_id, after)) as events:
                    async for event in events:
                        here_s = time.monotonic()
                        if event is None:
                            continue
                        after = event.id
                        yield event
                        if stream.is_last(event):
                            return
            except stream.OverError:
                return
            except UnavailableError:
                if time.monotonic() - here_s > patience_s:
                    raise
            await asyncio.sleep(stream.AGAIN_S)

    async def _stream(self, job_id: str, after: str | None) -> AsyncGenerator[JobEvent | None]:
        """One connection's events; null where the service said something else."""
        headers = stream.headers(after)
        limits = httpx.Timeout(self._timeout_s, read=stream.SILENCE_S)
        path = f"{asks.job_path(job_id)}/events"
        with reachable(self.url, self._timeout_s):
            async with self._http.stream("GET", path, headers=headers, timeout=limits) as response:
                if response.status_code == HTTPStatus.NO_CONTENT:
                    raise stream.OverError
                if not stream.is_stream(response):
                    await response.aread()
                    content(self.url, response)
                    raise UnavailableError(f"what answers at {self.url} sends no events")
                decoder = stream.Decoder()
                async for piece in response.aiter_bytes():
                    with stream.understood(self.url):
                        events = list(decoder.take(piece))
                    for event in events:
                        yield event

    async def get(self, job_id: str) -> AsyncJob:
        """As `Client.get`."""
        return self._tracked(await self._do(asks.get(job_id)))

    async def list(
        self,
        *,
        status: JobStatus | None = None,
        model_type: str | None = None,
        host: str | None = None,
        tag: tuple[str, str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> JobList:
        """As `Client.list`."""
        filters = {"status": status, "model_type": model_type, "host": host, "tag": tag}
        page = await self._do(asks.jobs(limit, cursor, **filters))
        return JobList(items=tuple(map(self._tracked, page.items)), next_cursor=page.next_cursor)

    async def cancel(self, job_id: str) -> AsyncJob:
        """As `Client.cancel`."""
        return self._tracked(await self._do(asks.cancel(job_id)))

    async def report(
        self,
        job_id: str,
        *,
        assumptions: str | None = None,
        country_iso_code: str | None = None,
        region: str | None = None,
        intensity_g_per_kwh: float | None = None,
        pue: float | None = None,
    ) -> Report:
        """As `Client.report`."""
        evaluation = {
            "assumptions": assumptions,
            "country_iso_code": country_iso_code,
            "region": region,
            "intensity_g_per_kwh": intensity_g_per_kwh,
            "pue": pue,
        }
        return await self._do(asks.report(job_id, evaluation))

    async def reports(
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
        """As `Client.reports`."""
        filters = {"status": status, "model_type": model_type, "host": host, "tag": tag}
        return await self._do(asks.reports(sort, limit, cursor, **filters))

    async def export(self, job_id: str, name: str, **params: str | float | None) -> str:
        """As `Client.export`."""
        with reachable(self.url, self._timeout_s):
            response = await self._http.get(
                asks.export_path(job_id, name), params=asks.given(params)
            )
        return text(self.url, response)

    async def post_report(self, posted: PostedReport) -> Report:
        """As `Client.post_report`."""
        return await self._do(asks.post_report(posted))

    async def create_experiment(
        self, spec: Mapping[str, Any], *, force: bool = False
    ) -> Experiment:
        """As `Client.create_experiment`."""
        return await self._do(asks.create_experiment(spec, force=force))

    async def experiment(self, experiment_id: str) -> ExperimentReport:
        """As `Client.experiment`."""
        return await self._do(asks.experiment(experiment_id))

    async def experiments(
        self, limit: int | None = None, cursor: str | None = None
    ) -> ExperimentList:
        """As `Client.experiments`."""
        return await self._do(asks.experiments(limit, cursor))

    async def cancel_experiment(self, experiment_id: str) -> Experiment:
        """As `Client.cancel_experiment`."""
        return await self._do(asks.cancel_experiment(experiment_id))

    async def compare(self, a: str, b: str) -> Comparison:
        """As `Client.compare`."""
        return await self._do(asks.compare(a, b))

    async def readings(self, job_id: str, attempt: int | None = None) -> Readings:
        """As `Client.readings`."""
        return await self._do(asks.readings(job_id, attempt))

    async def hosts(self) -> tuple[Host, ...]:
        """As `Client.hosts`."""
        return await self._do(asks.hosts())

    async def workloads(self) -> dict[str, Any]:
        """As `Client.workloads`."""
        return await self._do(asks.workloads())

    async def datasets(self) -> tuple[UploadedDataset, ...]:
        """As `Client.datasets`."""
        return await self._do(asks.datasets())

    async def upload_dataset(self, path: Path, name: str) -> UploadedDataset:
        """As `Client.upload_dataset`."""
        return parse(UploadedDataset, await self.call_with_file(path, name))

    async def call_with_file(self, path: Path, name: str) -> Any:
        """As `upload_dataset`, answered as the API's own JSON."""
        try:
            file = path.open("rb")
        except OSError as error:
            raise UsageError(f"{path} cannot be read ({error.strerror})") from error
        with file:
            where, params = "/v1/datasets", {"name": name}
            return await self.call("POST", where, file=file, params=params, longer_s=LOOKING_S)

    async def delete_dataset(self, name: str) -> None:
        """As `Client.delete_dataset`."""
        await self._do(asks.delete_dataset(name))

    async def ready(self) -> bool:
        """Whether the service answers and everything that it needs does too; raises nothing."""
        try:
            await self.call("GET", "/readyz")
        except TrainwattError:
            return False
        return True

    async def _do(self, ask: Ask[Answer]) -> Answer:
        data = await self.call(
            ask.method,
            ask.path,
            body=ask.body,
            params=ask.params,
            headers=ask.headers,
            longer_s=ask.longer_s,
        )
        with understood(self.url):
            return ask.read(data)

    def _tracked(self, job: Job) -> AsyncJob:
        return AsyncJob.of(job, self)


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    """A file as it is sent, read aside so that nothing else waits for the disk."""
    while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
        yield piece


def _file_headers(file: BinaryIO) -> dict[str, str]:
    return {**FILE_BODY, "Content-Length": str(os.fstat(file.fileno()).st_size)}
