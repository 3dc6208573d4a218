"""A job's events over HTTP: the stream, its end, and what is answered without one."""

import asyncio
import json
import socket

import pytest
import uvicorn

from app.domain.errors import UnavailableError
from app.domain.jobs import JobError, JobStatus, Progress, Stage


def parsed(text):
    """Events as (name, data, id), comments and `retry` left out."""
    blocks = [dict(line.split(": ", 1) for line in b.split("\n")) for b in text.split("\n\n") if b]
    return [(b["event"], json.loads(b["data"]), b["id"]) for b in blocks if "event" in b]


async def test_a_final_jobs_events_end_with_its_status(client, memory, submitted):
    job = await submitted()
    progress = Progress(epoch=1, epochs=3, step=0, steps=5, eta_s=None)
    memory.set(job["id"], status=JobStatus.SUCCEEDED, attempt=1, progress=progress)
    answer = await client.get(job["links"]["events"])
    assert answer.status_code == 200
    headers = answer.headers
    assert headers["content-type"].partition(";")[0] == "text/event-stream"
    assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")
    assert answer.text.startswith("retry: ")
    told = parsed(answer.text)
    assert [(name, data) for name, data, _ in told] == [
        ("progress", progress.model_dump()),
        ("status", {"status": "succeeded", "stage": None, "attempt": 1, "error": None}),
    ]
    assert memory.listeners == []
    for number, (_, _, event_id) in enumerate(told):
        rest = await client.get(job["links"]["events"], headers={"Last-Event-ID": event_id})
        assert rest.status_code == (204 if number == len(told) - 1 else 200)
        assert parsed(rest.text) == told[number + 1 :]


@pytest.mark.parametrize("wrong", ["x", "", "ÿ", "1-2-3"])
async def test_an_id_of_nobody_begins_anew(client, memory, submitted, wrong):
    job = await submitted()
    memory.set(job["id"], status=JobStatus.FAILED)
    path = job["links"]["events"]
    answer = await client.get(path, headers={"Last-Event-ID": wrong.encode("latin-1")})
    assert [data["status"] for _, data, _ in parsed(answer.text)] == ["failed"]


async def test_an_unknown_job_is_a_problem(client):
    answer = await client.get("/v1/jobs/none/events")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def _listened(memory):
    while not memory.listeners:
        await asyncio.sleep(0.01)


async def test_news_come_as_they_are_and_the_database_may_be_away(client, memory, submitted):
    job = await submitted()

    async def goes_on():
        await _listened(memory)
        memory.set(job["id"], status=JobStatus.RUNNING, stage=Stage.SETUP, attempt=1)
        await asyncio.sleep(0.02)
        memory.fails = UnavailableError("away")
        memory.set(job["id"], stage=Stage.TRAINING)
        await asyncio.sleep(0.02)
        memory.fails = None
        memory.set(job["id"], status=JobStatus.CANCELLED, stage=None)

    answer, _ = await asyncio.gather(client.get(job["links"]["events"]), goes_on())
    told = [(data["status"], data["stage"]) for _, data, _ in parsed(answer.text)]
    assert told == [("queued", None), ("running", "setup"), ("cancelled", None)]


async def test_a_lost_notice_is_made_up_for_and_silence_has_a_comment(
    client, memory, submitted, monkeypatch
):
    monkeypatch.setattr("app.api.events.LOOK_AGAIN_S", 0.02)
    job = await submitted()

    async def silently():
        await _listened(memory)
        await asyncio.sleep(0.1)
        changed = {"status": JobStatus.SUCCEEDED}
        memory.jobs[job["id"]] = memory.jobs[job["id"]].model_copy(update=changed)

    answer, _ = await asyncio.gather(client.get(job["links"]["events"]), silently())
    assert ": ping" in answer.text
    assert parsed(answer.text)[-1][1]["status"] == "succeeded"


async def test_a_stream_ends_with_the_server(app, client, memory, submitted):
    job = await submitted()

    async def stop():
        await _listened(memory)
        app.state.stopping.begin()

    answer, _ = await asyncio.gather(client.get(job["links"]["events"]), stop())
    assert [data["status"] for _, data, _ in parsed(answer.text)] == ["queued"]
    assert memory.listeners == []
    assert parsed((await client.get(job["links"]["events"])).text) == []


async def _connect(url, request):
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"{request}\r\nHost: localhost\r\n".encode())
    return reader, writer


async def test_a_client_that_goes_away_leaves_nothing_behind(app, memory, client, submitted, live):
    job = await submitted()
    body = json.dumps({"model_type": "cnn"})
    streaming = f"GET {job['links']['events']} HTTP/1.1"
    waiting = "POST /v1/jobs?wait=300 HTTP/1.1"
    sent = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    one, two = await _connect(live, streaming), await _connect(live, waiting)
    one[1].write(b"\r\n")
    two[1].write(sent.encode())
    while len(memory.listeners) < 2:
        await asyncio.sleep(0.01)
    for _, writer in (one, two):
        writer.transport.abort()
    while memory.listeners:
        await asyncio.sleep(0.01)
    assert memory.jobs["job-2"].status is JobStatus.QUEUED


async def test_a_slow_client_is_waited_for(memory, client, submitted, live, monkeypatch):
    """Nothing is gathered for it: what is new is read when it has taken what came before."""
    job = await submitted()
    looks = []
    standing = memory.standing

    async def spy(job_id):
        looks.append(job_id)
        error = JobError(code="x", message=f"{len(looks)} " + "x" * 2**20)
        memory.set(job_id, error=error)  # so that each look finds news at once
        return await standing(job_id)

    monkeypatch.setattr(memory, "standing", spy)
    reader, writer = await _connect(live, f"GET {job['links']['events']} HTTP/1.1")
    writer.write(b"\r\n")
    while len(looks) < 2:
        await asyncio.sleep(0.01)
    before = -1
    while before != len(looks):  # until it stands still
        before = len(looks)
        await asyncio.sleep(0.3)
    assert len(looks) < 40
    writer.transport.abort()
    while memory.listeners:
        await asyncio.sleep(0.01)


@pytest.fixture
async def live(app, client):
    """The same app behind a real server on this loop; its lifespan is the client's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await task
