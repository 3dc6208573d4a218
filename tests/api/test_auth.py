"""Keys over HTTP: who is let in, how, and what is never said."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from app.api.app import create_app
from app.api.auth import COOKIE, _without_key
from app.service import Service

KEY = "s3cret-key_of-this-service"
BEARER = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
async def asks(memory, settings):
    """A client by the key of its app and the address that its connections arrive on."""
    opened = []

    async def make(key=KEY, server="http://10.0.0.5:8000"):
        @asynccontextmanager
        async def open_service() -> AsyncIterator[Service]:
            yield Service(memory, settings)

        app = create_app(open_service, key=key)
        lifespan = app.router.lifespan_context(app)
        await lifespan.__aenter__()
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=server)
        opened.append((lifespan, client))
        return client

    yield make
    for lifespan, client in opened:
        await client.aclose()
        await lifespan.__aexit__(None, None, None)


async def test_with_the_key_everything_answers(asks):
    client = await asks()
    for path in ("/v1/jobs", "/v1/workloads", "/docs", "/openapi.json"):
        assert (await client.get(path, headers=BEARER)).status_code == 200, path


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/hosts", "/docs", "/openapi.json", "/nothing"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": "Bearer \u00e9".encode()},
        {"Cookie": f"{COOKIE}=wrong"},
        {"Cookie": f"other={KEY}"},
        {"Cookie": ";;=;"},
    ],
)
async def test_without_it_nothing_does_and_the_key_is_not_told(asks, path, headers):
    answer = await (await asks()).get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert "TRAINWATT" in answer.json()["detail"] or "Bearer KEY" in answer.json()["detail"]
    assert KEY not in answer.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_life_and_readiness_need_none(asks, path):
    assert (await (await asks()).get(path)).status_code in {200, 503}


async def test_a_browser_trades_the_key_in_the_address_for_a_cookie(asks):
    client = await asks()
    answer = await client.get(f"/docs?key={KEY}&tab=2")
    assert (answer.status_code, answer.headers["location"]) == (303, "/docs?tab=2")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}={KEY}")
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert (await client.get("/docs")).status_code == 200  # the client kept the cookie
    assert (await client.get("/v1/jobs")).status_code == 200


@pytest.mark.parametrize("others", ["bad[=x; {}", "a=b; {}; c", "{}; =; other"])
async def test_odd_cookies_of_other_programs_do_not_lock_a_browser_out(asks, others):
    cookie = others.format(f"{COOKIE}={KEY}")
    answer = await (await asks()).get("/v1/jobs", headers={"Cookie": cookie})
    assert answer.status_code == 200


async def test_a_wrong_key_in_the_address_is_refused(asks):
    answer = await (await asks()).get("/docs?key=wrong")
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["//evil.example/docs", "/\\evil.example", "///evil.example"])
def test_the_trade_never_leads_to_another_host(path):
    scope = {"path": path, "query_string": b"key=k&tab=2"}
    assert re.match(r"/[^/\\]", _without_key(scope))


async def test_programs_cannot_put_the_key_into_the_address(asks):
    assert (await (await asks()).get(f"/v1/jobs?key={KEY}")).status_code == 401


@pytest.mark.parametrize(
    ("server", "status"),
    [("http://127.0.0.1:8000", 200), ("http://[::1]:8000", 200), ("http://10.0.0.5:8000", 400)],
)
async def test_without_a_key_loopback_alone_answers(asks, server, status):
    client = await asks(key=None, server=server)
    assert (await client.get("/v1/jobs")).status_code == status


async def test_without_a_key_a_network_is_refused_whatever_name_it_asks_for(asks):
    client = await asks(key=None)
    answer = await client.get("/v1/jobs", headers={"Host": "localhost"})
    assert answer.status_code == 403
    assert "TRAINWATT_API_KEY" in answer.json()["detail"]


async def test_the_description_says_which_calls_need_a_key(asks):
    paths = (await (await asks()).get("/openapi.json", headers=BEARER)).json()["paths"]
    assert paths["/healthz"]["get"]["security"] == []
    assert {"key": []} in paths["/v1/jobs"]["post"]["security"]
