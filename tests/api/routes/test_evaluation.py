"""The query parameters that evaluate a report again."""

import json

import pytest

from app.api.routes.evaluation import EvaluationQuery
from app.domain.specs import Carbon


@pytest.fixture
async def path(client, submitted):
    """The report of a job that was cancelled while it waited."""
    job = await submitted(carbon={"country_iso_code": "FRA"})
    assert (await client.post(f"/v1/jobs/{job['id']}/cancel")).status_code == 202
    return f"/v1/jobs/{job['id']}/report"


async def test_a_report_at_another_price(client, path):
    stored = await client.get(path)
    for same in ("?assumptions=codecarbon", "?country_iso_code=FRA", "?pue=1"):
        assert (await client.get(path + same)).content == stored.content
    answer = await client.get(f"{path}?country_iso_code=SWE&region=SE3&pue=1.2")
    assert answer.headers["content-type"] == "application/json"
    emissions = answer.json()["emissions"]
    assert (emissions["country_iso_code"], emissions["region"]) == ("SWE", "SE3")
    assert (emissions["intensity_g_per_kwh"], emissions["pue"]) == (27.0, 1.2)


@pytest.mark.parametrize(
    ("query", "field", "expected"),
    [
        ("assumptions=specpowers", "assumptions", "one of codecarbon"),
        ("country_iso_code=fra", "country_iso_code", "three capital letters, as FRA"),
        ("country_iso_code=XXX", "country_iso_code", "one of the 213 ISO 3166-1 alpha-3 codes"),
        ("region=paris", "region", "no region: there is no table of regions for FRA"),
        ("region=", "region", "text of 1 to 64 characters"),
        ("region=a%00b", "region", "no region"),
        ("intensity_g_per_kwh=-1", "intensity_g_per_kwh", "a finite number ≥ 0 and ≤ 10000"),
        ("intensity_g_per_kwh=nan", "intensity_g_per_kwh", "a finite number ≥ 0"),
        ("pue=0.9", "pue", "a finite number ≥ 1 and ≤ 10"),
        ("pue=inf", "pue", "a finite number ≥ 1"),
        ("pue=", "pue", "a finite number ≥ 1"),
        ("pue=1&pue=2", "pue", "once at most"),
        ("puе=1", "puе", "no such query parameter"),
        ("puee=1", "puee", "no such query parameter (did you mean pue?)"),
    ],
)
async def test_what_does_not_hold_is_named(client, path, query, field, expected):
    answer = await client.get(f"{path}?{query}")
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert error["expected"].startswith(expected)


@pytest.mark.parametrize("query", ["", "?pue=1.1"])
async def test_a_job_without_a_report(client, memory, submitted, query):
    assert (await client.get(f"/v1/jobs/nothing/report{query}")).status_code == 404
    job = await submitted()
    memory.start(job["id"])
    answer = await client.get(f"/v1/jobs/{job['id']}/report{query}")
    assert (answer.status_code, answer.json()["job_status"]) == (409, "running")


def test_the_ranges_are_those_of_a_spec():
    def ranges(model, name):
        place = model.model_json_schema()["properties"][name]
        told = next((b for b in place.get("anyOf", [place]) if b.get("type") != "null"), place)
        return {k: v for k, v in told.items() if k not in {"title", "default", "description"}}

    for name in Carbon.model_fields:
        assert ranges(EvaluationQuery, name) == ranges(Carbon, name), name


def test_the_parameters_are_described(app):
    described = app.openapi()["paths"]["/v1/jobs/{job_id}/report"]["get"]["parameters"]
    named = {place["name"] for place in described if place["in"] == "query"}
    assert named == set(EvaluationQuery.model_fields)
    assert json.dumps(described)
