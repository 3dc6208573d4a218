"""Every error is a problem as RFC 9457 has it, with the request's identifier and no trace."""

import logging

import pytest

from app.api.problems import KINDS, Problem
from app.domain.errors import MeterError, UnavailableError

LEAST = {"model_type": "cnn"}
JSON = {"Content-Type": "application/json"}


def _problem(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(answer.content)
    assert problem.status == status
    assert problem.request_id == answer.headers["x-request-id"]
    assert problem.type.startswith("urn:trainwatt:problem:")
    assert problem.title
    assert problem.detail
    return problem


async def test_a_bad_spec_names_every_field(client, memory):
    spec = (
        b'{"model_type": "cnn", "epochs": 0, "learning_rate": NaN, "carbon": {"pue": 0.5}, "x": 1}'
    )
    answer = await client.post("/v1/jobs", content=spec, headers=JSON)
    problem = _problem(answer, 422)
    assert [error.model_dump() for error in problem.errors] == [
        {"field": "epochs", "expected": "an integer ≥ 1 and ≤ 10000", "received": 0},
        {"field": "learning_rate", "expected": "a finite number > 0 and ≤ 10", "received": "NaN"},
        {"field": "carbon.pue", "expected": "a finite number ≥ 1 and ≤ 10", "received": 0.5},
        {"field": "x", "expected": "no such field", "received": 1},
    ]
    assert problem.detail == (
        "epochs: expected an integer ≥ 1 and ≤ 10000, received 0 (and 3 more)."
    )
    assert memory.jobs == {}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"model_type": "svm2"}, "model_type"),
        ({"dataset": {"name": "imagenet"}}, "dataset.name"),
        ({"batch_size": 1_000_000}, "batch_size"),
        ({"dataset": {"samples": 9_999_999}}, "dataset.samples"),
        ({"carbon": {"country_iso_code": "XXX"}}, "carbon.country_iso_code"),
        ({"carbon": {"country_iso_code": "USA", "region": "atlantis"}}, "carbon.region"),
        ({"tags": {"a": "x\0"}}, "tags.a"),
    ],
)
async def test_a_spec_that_cannot_be_honoured_is_refused_before_it_is_queued(
    client, memory, fields, field
):
    problem = _problem(await client.post("/v1/jobs", json=LEAST | fields), 422)
    assert field in [error.field for error in problem.errors]
    assert memory.jobs == {}


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[1]", b"[" * 100_000, b"\x80"])
async def test_a_body_that_is_no_object_is_422(client, body):
    problem = _problem(await client.post("/v1/jobs", content=body, headers=JSON), 422)
    assert [error.field for error in problem.errors] == ["body"]


@pytest.mark.parametrize("media", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_of_another_kind_is_415(client, media):
    headers = {"Content-Type": media} if media else {}
    answer = await client.post("/v1/jobs", content=b'{"model_type": "cnn"}', headers=headers)
    _problem(answer, 415)


async def test_a_media_type_may_have_a_charset(client):
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    answer = await client.post("/v1/jobs", content=b'{"model_type": "cnn"}', headers=headers)
    assert answer.status_code == 202


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_a_mebibyte_is_413(client, chunked):
    async def chunks():
        for _ in range(20):
            yield b" " * 2**16

    body = chunks() if chunked else b" " * (2**20 + 1)
    _problem(await client.post("/v1/jobs", content=body, headers=JSON), 413)


async def test_a_body_of_a_mebibyte_is_read(client):
    body = b'{"model_type": "cnn"}'
    answer = await client.post("/v1/jobs", content=body.ljust(2**20), headers=JSON)
    assert answer.status_code == 202


@pytest.mark.parametrize("path", ["/", "/v2/jobs", "/v1/jobs/", "/metric", "/v1/report", "/%00"])
async def test_an_unknown_route_is_404(client, path):
    _problem(await client.get(path), 404)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_a_wrong_method_is_405_and_says_what_is_allowed(client, method):
    answer = await client.request(method, "/v1/jobs/j")
    _problem(answer, 405)
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize("error", [ValueError("secret"), MeterError("secret")])
async def test_a_fault_of_ours_is_500_without_a_trace_and_is_logged(client, memory, caplog, error):
    memory.fails = error
    with caplog.at_level(logging.ERROR):
        problem = _problem(await client.get("/v1/jobs"), 500)
    assert "secret" not in problem.model_dump_json()
    assert "Traceback" not in problem.model_dump_json()
    [record] = [record for record in caplog.records if record.name.startswith("app.")]
    assert problem.request_id in record.getMessage()
    assert record.exc_info and record.exc_info[1] is error


async def test_what_does_not_answer_is_503(client, memory):
    memory.fails = UnavailableError("The database does not answer.")
    answer = await client.post("/v1/jobs", json=LEAST)
    assert _problem(answer, 503).detail == "The database does not answer."
    assert answer.headers["retry-after"] == "5"


async def test_a_body_that_is_announced_too_long_is_not_waited_for(client):
    async def never():
        raise AssertionError("read")
        yield b""

    headers = JSON | {"Content-Length": "99999999999"}
    problem = _problem(await client.post("/v1/jobs", content=never(), headers=headers), 413)
    assert problem.type == "urn:trainwatt:problem:content-too-large"


def test_kinds_have_types_of_their_own():
    assert len({kind.slug for kind in KINDS.values()}) == len(KINDS)


async def test_a_method_that_a_path_does_not_take_names_all_that_it_takes(client):
    for path, allowed in (("/v1/jobs", "GET, POST"), ("/v1/jobs/j", "GET"), ("/docs", "GET")):
        answer = await client.request("PATCH", path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
