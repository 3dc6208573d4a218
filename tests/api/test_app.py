"""The app as a whole: what its import costs, a real server, and the real store under it."""

import asyncio
import json
import socket
import subprocess
import sys
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn

from app.api.app import create_app
from app.domain.jobs import JobStatus
from app.domain.reports import EnergyReport
from app.service import Service

HEAVY = {"tensorflow", "keras", "codecarbon", "sklearn", "mlxtend", "pandas"}
LEAST = {"model_type": "cnn", "size": "tiny", "epochs": 1}


@pytest.mark.parametrize("module", ["app.api.app", "app.main", "app.service"])
def test_the_import_is_light(module):
    code = f"import sys, json, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "app" in loaded
    assert not loaded & HEAVY


@asynccontextmanager
async def _serving(app):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            assert not task.done(), task
            await asyncio.sleep(0.01)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            yield client
        server.should_exit = True
        await task


async def test_over_real_http(app, memory):
    async with _serving(app) as client:
        answer = await client.post("/v1/jobs", json=LEAST)
        assert answer.status_code == 202
        assert (await client.get(answer.headers["location"])).json() == answer.json()
        assert (await client.get("/docs")).status_code == 200

        async def endless():
            for _ in range(64):
                yield b" " * 2**16

        headers = {"Content-Type": "application/json"}
        too_long = await client.post("/v1/jobs", content=endless(), headers=headers)
        assert too_long.status_code == 413
        memory.fails = ValueError("secret")
        broken = await client.get("/v1/jobs")
        assert (broken.status_code, "secret" in broken.text) == (500, False)
        foreign = await client.get("/healthz", headers={"Host": "evil.example"})
        assert foreign.status_code == 400


async def test_the_lifespan_closes_what_it_opened(memory, settings):
    events = []

    @asynccontextmanager
    async def open_service():
        events.append("open")
        yield Service(memory, settings)
        events.append("closed")

    app = create_app(open_service)
    assert events == []
    async with app.router.lifespan_context(app):
        assert events == ["open"]
    assert events == ["open", "closed"]
    assert app.state.service is None


@pytest.fixture
async def real(store, settings):
    @asynccontextmanager
    async def open_service():
        yield Service(store, settings)

    app = create_app(open_service)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


async def test_a_job_on_the_real_store(real, store, a_host):
    await store.beat(a_host)
    submitted = await real.post("/v1/jobs", json=LEAST | {"tags": {"team": "vision"}})
    assert submitted.status_code == 202, submitted.text
    job = submitted.json()
    assert (job["status"], job["queue_position"], job["attempt"]) == ("queued", 1, 0)
    assert (await real.get(job["links"]["self"])).json() == job
    assert (await real.get("/v1/hosts")).json()["items"][0]["name"] == "h1"
    assert (await real.get("/readyz")).status_code == 200

    for query, count in [("tag=team:vision", 1), ("tag=team:x", 0), ("status=queued", 1)]:
        page = await real.get(f"/v1/jobs?{query}")
        assert len(page.json()["items"]) == count

    waiting = await real.get(job["links"]["report"])
    assert (waiting.status_code, waiting.json()["job_status"]) == (409, "queued")
    cancelled = await real.post(f"{job['links']['self']}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
    again = await real.post(f"{job['links']['self']}/cancel")
    assert (again.status_code, again.json()["job_status"]) == (409, "cancelled")
    stored = await real.get(job["links"]["report"])
    report = EnergyReport.model_validate_json(stored.content)
    assert (report.status, report.duration_s) == (JobStatus.CANCELLED, 0)
    assert (await real.get(f"{job['links']['self']}/readings")).status_code == 404


async def test_pages_and_cursors_on_the_real_store(real):
    made = [(await real.post("/v1/jobs", json=LEAST)).json()["id"] for _ in range(5)]
    seen, cursor = [], ""
    while cursor is not None:
        page = (await real.get(f"/v1/jobs?limit=2{cursor and f'&cursor={cursor}'}")).json()
        seen += [job["id"] for job in page["items"]]
        cursor = page["next_cursor"]
    assert seen == made[::-1]
    wrong = await real.get("/v1/jobs?cursor=nonsense")
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize(
    "path", ["/v1/jobs/nothing", "/v1/jobs/nothing/report", "/v1/jobs/nothing/readings"]
)
async def test_unknown_jobs_of_the_real_store(real, path):
    assert (await real.get(path)).status_code == 404


async def test_odd_text_never_breaks_the_real_store(real):
    odd = {"tags": {"a": "\u2028 🙂 '; drop table jobs; --"}}
    answer = await real.post("/v1/jobs", json=LEAST | odd)
    assert answer.json()["spec"]["tags"] == odd["tags"]
    for query in ("host=%F0%9F%99%82", "host=%FF", "tag=a:%27", "model_type=%27"):
        assert (await real.get(f"/v1/jobs?{query}")).status_code == 200
