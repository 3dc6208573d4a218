"""Alive, ready, and what every route has in common."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.domain.errors import UnavailableError
from app.service import Service

LEAST = {"model_type": "cnn", "size": "base", "epochs": 3}


@pytest.mark.parametrize(
    "call",
    [
        ("GET", "/v1/jobs/j/events"),
        ("GET", "/v1/jobs/j"),
        ("POST", "/v1/jobs/j/cancel"),
        ("GET", "/v1/jobs/j/report"),
        ("GET", "/v1/jobs/j/readings"),
        ("GET", "/v1/reports"),
        ("GET", "/metrics"),
        ("GET", "/v1/workloads"),
        ("GET", "/v1/hosts"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
    ],
)
async def test_every_route_refuses_parameters_of_later(client, call):
    method, path = call
    answer = await client.request(method, f"{path}?wait=30", json=LEAST)
    assert answer.status_code == 422
    assert answer.json()["errors"][0] == {
        "field": "wait",
        "expected": "no such query parameter",
        "received": "30",
    }


async def test_healthz_needs_nothing_and_readyz_the_database(client, memory):
    assert (await client.get("/readyz")).json() == {"status": "ready"}
    memory.fails = UnavailableError("The database does not answer.")
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["reasons"] == ["The database does not answer."]
    assert (await client.get("/v1/jobs")).status_code == 503


async def test_readyz_under_serve_needs_the_worker(client, app, memory, settings, a_host):
    served = settings.model_copy(update={"supervised": True})
    app.state.service = Service(memory, served)

    async def reasons():
        answer = await client.get("/readyz")
        return answer.json().get("reasons", []) if answer.status_code == 503 else None

    assert "not announced" in (await reasons())[0]
    now = datetime.now(UTC)
    memory.known_hosts = (a_host.model_copy(update={"last_seen": now, "ready": False}),)
    assert "not warmed" in (await reasons())[0]
    stale = now - timedelta(seconds=served.lease_s)
    memory.known_hosts = (a_host.model_copy(update={"last_seen": stale}),)
    assert "last heard" in (await reasons())[0]
    memory.known_hosts = (a_host.model_copy(update={"last_seen": now}),)
    assert await reasons() is None


async def test_an_app_that_has_not_started_is_503(app):
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.get("/v1/jobs")
    assert (answer.status_code, json.loads(answer.content)["status"]) == (503, 503)
