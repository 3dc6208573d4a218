"""Identifiers of requests, and the host names that are answered."""

import json
import logging

import httpx
import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse

from app.api.guard import LOOPBACK_NAMES, Guard
from app.logs import JsonLine

SAFE = "abc.DEF_1-2"


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000", "[::1]", "LOCALHOST:80"]
)
async def test_names_of_the_loopback_are_answered(client, host):
    assert (await client.get("/healthz", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil", "::1"]
)
@pytest.mark.parametrize("path", ["/healthz", "/v1/jobs", "/docs", "/openapi.json"])
async def test_foreign_names_are_refused(client, host, path):
    answer = await client.get(path, headers={"Host": host})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:trainwatt:problem:foreign-host"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_any_name_is_answered_where_none_is_given():
    app = Guard(PlainTextResponse("here"), hosts=None)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        assert (await client.get("http://anything.example/")).text == "here"


async def test_each_request_has_an_identifier_of_its_own(client):
    first, second = await client.get("/healthz"), await client.get("/healthz")
    assert len(first.headers["x-request-id"]) == 32
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


@pytest.mark.parametrize(
    ("given", "kept"), [(SAFE, True), ("a b", False), ("x" * 65, False), ("<b>", False)]
)
async def test_a_given_identifier_is_kept_only_where_it_is_safe(client, given, kept):
    answer = await client.get("/healthz", headers={"X-Request-ID": given})
    assert (answer.headers["x-request-id"] == given) is kept


async def test_a_client_that_goes_away_is_no_fault_of_ours(caplog):
    async def gone(scope, receive, send):
        raise ClientDisconnect

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"host", b"localhost")]}
    with caplog.at_level("INFO"):
        await Guard(gone, hosts=LOOPBACK_NAMES)(scope, None, None)
    [record] = [record for record in caplog.records if record.name == "app.api.guard"]
    assert record.levelname == "INFO"


async def test_an_answer_that_has_begun_is_broken_off(caplog):
    async def half(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("half")

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [(b"host", b"localhost")],
    }
    sent = []

    async def send(message):
        sent.append(message)

    with pytest.raises(ValueError, match="half"):
        await Guard(half, hosts=LOOPBACK_NAMES)(scope, None, send)
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert scope["state"]["request_id"] in caplog.text


async def _access(client, caplog, level, *requests):
    with caplog.at_level(level, "app.api.access"):
        for method, path in requests:
            await client.request(method, path, headers={"X-Request-ID": "r1"})
    records = [record for record in caplog.records if record.name == "app.api.access"]
    return [(r.levelname, r.method, r.path, r.status) for r in records]


async def test_writes_and_errors_have_a_record_and_other_reads_only_where_asked(client, caplog):
    asked = [("GET", "/healthz"), ("GET", "/none?key=secret"), ("POST", "/v1/jobs")]
    told = [("INFO", "GET", "/none", 404), ("INFO", "POST", "/v1/jobs", 415)]
    assert await _access(client, caplog, "INFO", *asked) == told
    caplog.clear()
    told = [("DEBUG", "GET", "/healthz", 200)]
    assert await _access(client, caplog, "DEBUG", asked[0]) == told


async def test_a_record_of_a_request_has_its_time_and_no_query(client, caplog):
    await _access(client, caplog, "INFO", ("GET", "/none?key=secret"))
    (record,) = [record for record in caplog.records if record.name == "app.api.access"]
    assert record.duration_ms >= 0
    assert record.getMessage().startswith("GET /none: 404 after ")
    assert "secret" not in caplog.text


async def test_every_record_of_a_request_carries_its_identifier(caplog):
    formatter, lines = JsonLine("api"), []

    async def app(scope, receive, send):
        logging.getLogger("app.x").warning("inside")
        await PlainTextResponse("here")(scope, receive, send)

    class Keep(logging.Handler):
        def emit(self, record):
            lines.append(json.loads(formatter.format(record)))

    handler = Keep()
    logging.getLogger().addHandler(handler)
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(Guard(app, None))) as client:
            url = "http://h.example/v1/jobs/j1/report"
            await client.post(url, headers={"X-Request-ID": "r1"})
    finally:
        logging.getLogger().removeHandler(handler)
    told = {line["message"]: (line.get("request_id"), line.get("job_id")) for line in lines}
    assert told["inside"] == ("r1", "j1")
