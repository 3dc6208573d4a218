"""An app on a store in memory, and a client that speaks to it without a network."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.api.app import create_app
from app.domain.errors import NotFoundError, StateError
from app.domain.events import Standing
from app.domain.hosts import Host
from app.domain.jobs import Job, JobFilter, JobStatus, Progress, Stage
from app.domain.quotes import Quoted
from app.domain.readings import Reading, Readings
from app.domain.specs import JobSpec
from app.service import Service
from app.settings import Settings
from app.storage.notices import News

LEAST = {"model_type": "cnn", "size": "base", "epochs": 3}


@dataclass(frozen=True)
class Page:
    items: tuple[Job, ...]
    next_cursor: str | None


@dataclass
class MemoryStore:
    """What the routes need of a store, in memory; `fails` is raised by whatever is asked first."""

    make_job: Callable[..., Job]
    a_host: Host
    jobs: dict[str, Job] = field(default_factory=dict)
    reports: dict[str, bytes] = field(default_factory=dict)
    known_hosts: tuple[Host, ...] = ()
    asked: dict[str, Any] = field(default_factory=dict)
    fails: Exception | None = None
    keys: dict[str, Job] = field(default_factory=dict)
    listeners: list[tuple[str, News]] = field(default_factory=list)

    def _may_fail(self) -> None:
        if self.fails:
            raise self.fails

    async def ping(self) -> None:
        self._may_fail()

    async def hosts(self) -> tuple[Host, ...]:
        self._may_fail()
        return self.known_hosts

    async def datasets(self) -> tuple[()]:
        self._may_fail()
        return ()

    async def find_dataset(self, name: str) -> None:
        self._may_fail()

    async def submitted(self, spec: JobSpec, key: str) -> Job | None:
        self._may_fail()
        return self.keys.get(key)

    async def past(self, model_type: str, host: str) -> tuple[()]:
        self._may_fail()
        return ()

    async def newest(self, spec_sha256: str, **where: Any) -> None:
        self._may_fail()

    async def submit(
        self, spec: JobSpec, *, max_queued: int, quoted: Quoted, key: str | None = None
    ) -> Job:
        self._may_fail()
        job = self.make_job(spec, id=f"job-{len(self.jobs) + 1}", quote=quoted.quote)
        self.jobs[job.id] = job
        if key is not None:
            self.keys[key] = job
        return job

    async def standing(self, job_id: str) -> tuple[Standing, Progress | None]:
        job = await self.get(job_id)
        standing = Standing(
            status=job.status, stage=job.stage, attempt=job.attempt, error=job.error
        )
        return standing, job.progress

    async def attempt_head(self, job_id: str, attempt: int) -> None:
        return None

    @contextmanager
    def news(self, job_id: str) -> Iterator[News]:
        news = News()
        self.listeners.append((job_id, news))
        try:
            yield news
        finally:
            self.listeners.remove((job_id, news))

    async def get(self, job_id: str) -> Job:
        self._may_fail()
        if job_id not in self.jobs:
            raise NotFoundError(f"There is no job {job_id}.")
        return self.jobs[job_id]

    async def list_jobs(self, wanted: JobFilter, **page: Any) -> Page:
        self._may_fail()
        self.asked = {"wanted": wanted, **page}
        return Page(tuple(reversed(self.jobs.values())), "next")

    async def attempts(self, job_id: str) -> tuple[()]:
        return ()

    async def cancel(self, job_id: str, queued_report: Callable[[Job], Any]) -> Job:
        job = await self.get(job_id)
        if job.status.final:
            raise StateError(f"Job {job_id} is {job.status} already.", status=job.status)
        if job.status == JobStatus.QUEUED:
            self.reports[job_id] = queued_report(job).model_dump_json().encode()
            self.set(job_id, status=JobStatus.CANCELLED)
        return self.jobs[job_id]

    async def report(self, job_id: str) -> bytes | None:
        await self.get(job_id)
        return self.reports.get(job_id)

    async def readings(self, job_id: str, attempt: int | None = None) -> Readings | None:
        job = await self.get(job_id)
        if job.attempt == 0 or attempt not in (None, 1):
            return None
        first = Reading(t_s=0, cpu_j=None, gpu_j=None, ram_j=1.0)
        host = self.a_host
        return Readings(
            attempt=1,
            started_at=host.started_at,
            host=host.facts,
            meter=host.meter,
            readings=(first,),
        )

    async def readings_json(self, job_id: str, attempt: int | None = None) -> bytes | None:
        readings = await self.readings(job_id, attempt)
        return readings.to_bytes() if readings else None

    def set(self, job_id: str, **changes: Any) -> None:
        self.jobs[job_id] = self.jobs[job_id].model_copy(update=changes)
        for wanted, news in self.listeners:
            if wanted == job_id:
                news.wake()

    def start(self, job_id: str) -> None:
        self.set(job_id, status=JobStatus.RUNNING, stage=Stage.SETUP, attempt=1, host="h1")


@pytest.fixture
def memory(make_job: Callable[..., Job], a_host: Host) -> MemoryStore:
    return MemoryStore(make_job, a_host)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TRAINWATT_HOST_NAME", "h1")
    return Settings()


@pytest.fixture
def a_host(make_host: Callable[..., Host]) -> Host:
    return make_host(labels=("gpu",))


@pytest.fixture
def app(memory: MemoryStore, settings: Settings) -> FastAPI:
    @asynccontextmanager
    async def open_service() -> AsyncIterator[Service]:
        yield Service(memory, settings)

    return create_app(open_service)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


@pytest.fixture
def submitted(client: httpx.AsyncClient) -> Callable[..., Awaitable[dict[str, Any]]]:
    async def submit(**more: Any) -> dict[str, Any]:
        answer = await client.post("/v1/jobs", json=LEAST | more)
        assert answer.status_code == 202, answer.text
        body: dict[str, Any] = answer.json()
        return body

    return submit
