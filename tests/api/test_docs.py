"""The documentation: every route and answer is described, and no asset comes from elsewhere."""

import re

import httpx

from app.api.docs import ASSETS

METHODS = {"delete", "get", "post"}


async def _description(client):
    answer = await client.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def _operations(description):
    return {
        (method, path): operation
        for path, item in description["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def _references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _references(inner)


async def test_the_page_refers_to_nothing_but_our_own_paths(client):
    page = await client.get("/docs")
    links = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(links) == 4
    for link in links:
        assert re.match(r"/docs/[a-z0-9.-]+$", link)
        answer = await client.get(link)
        assert (answer.status_code, answer.headers["x-content-type-options"]) == (200, "nosniff")
    start = (await client.get("/docs/start.js")).text
    assert re.findall(r'"(/[^"]*)"', start) == ["/openapi.json"]
    assert "://" not in page.text + start
    assert "validatorUrl: null" in start


async def test_the_page_has_a_strict_policy_and_keeps_it(client):
    page = await client.get("/docs")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<style" not in page.text
    assert " style=" not in page.text
    assert not re.search(r"<script[^>]*>[^<]", page.text)


async def test_only_the_assets_are_served(client):
    for name, media in ASSETS.items():
        answer = await client.get(f"/docs/{name}")
        assert answer.headers["content-type"].partition(";")[0] == media
        assert len(answer.content) > 500
    for name in ("__init__.py", "..%2fmain.py", "x"):
        assert (await client.get(f"/docs/{name}")).status_code == 404


async def test_every_answer_has_a_schema_and_every_reference_an_end(client):
    description = await _description(client)
    schemas = description["components"]["schemas"]
    assert set(_references(description)) <= {f"#/components/schemas/{name}" for name in schemas}
    assert {"JobSpec", "JobView", "EnergyReport", "Readings", "Problem", "Host"} <= set(schemas)
    for operation in _operations(description).values():
        assert operation["summary"]
        for status, answer in operation["responses"].items():
            if status in {"204", "304"}:
                assert "content" not in answer
                continue
            for media, content in answer["content"].items():
                assert content["schema"]
                assert (media == "application/problem+json") == (int(status) >= 400)


async def test_documented_problems_are_the_real_ones(client):
    responses = _operations(await _description(client))["post", "/v1/jobs"]["responses"]
    json_type = {"Content-Type": "application/json"}
    real = [
        await client.post("/v1/jobs", headers={"Host": "evil.example"}),
        await client.post("/v1/jobs", content=b"x" * (2**20 + 1), headers=json_type),
        await client.post("/v1/jobs", content=b"{}"),
        await client.post("/v1/jobs", content=b"{}", headers=json_type),
    ]
    assert [answer.status_code for answer in real] == [400, 413, 415, 422]
    for answer in real:
        content = responses[str(answer.status_code)]["content"]["application/problem+json"]
        for member in ("type", "title", "status"):
            assert answer.json()[member] == content["example"][member]
        assert answer.json().keys() == content["example"].keys()


async def test_operation_ids_are_neat_and_the_routes_are_those_of_now(client):
    operations = _operations(await _description(client))
    assert {key: operation["operationId"] for key, operation in operations.items()} == {
        ("post", "/v1/jobs"): "submit_job",
        ("get", "/v1/jobs"): "list_jobs",
        ("get", "/v1/jobs/{job_id}"): "get_job",
        ("post", "/v1/jobs/{job_id}/cancel"): "cancel_job",
        ("get", "/v1/jobs/{job_id}/events"): "follow_job",
        ("get", "/v1/jobs/{job_id}/report"): "get_report",
        ("get", "/v1/jobs/{job_id}/exports/{name}"): "export_report",
        ("get", "/v1/jobs/{job_id}/readings"): "get_readings",
        ("get", "/v1/reports"): "list_reports",
        ("post", "/v1/reports"): "post_report",
        ("get", "/v1/compare"): "compare",
        ("post", "/v1/quotes"): "quote_job",
        ("get", "/v1/quotes/track-record"): "track_record",
        ("post", "/v1/experiments"): "create_experiment",
        ("get", "/v1/experiments"): "list_experiments",
        ("get", "/v1/experiments/{experiment_id}"): "get_experiment",
        ("post", "/v1/experiments/{experiment_id}/cancel"): "cancel_experiment",
        ("get", "/v1/experiments/{experiment_id}/events"): "follow_experiment",
        ("post", "/v1/datasets"): "upload_dataset",
        ("get", "/v1/datasets"): "list_datasets",
        ("get", "/v1/datasets/{name}"): "get_dataset",
        ("delete", "/v1/datasets/{name}"): "delete_dataset",
        ("get", "/v1/workloads"): "list_workloads",
        ("get", "/v1/hosts"): "list_hosts",
        ("get", "/healthz"): "healthz",
        ("get", "/readyz"): "readyz",
        ("get", "/metrics"): "metrics",
    }


async def test_examples_of_the_body_are_taken(client):
    operation = _operations(await _description(client))["post", "/v1/jobs"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    assert len(examples) == 2
    for example in examples.values():
        answer = await client.post("/v1/jobs", json=example["value"])
        assert answer.status_code == 202


async def test_described_query_parameters_are_those_that_are_taken(client):
    operations = _operations(await _description(client))
    named = {p["name"] for p in operations["get", "/v1/jobs"]["parameters"] if p["in"] == "query"}
    assert named == {"status", "model_type", "host", "tag", "experiment", "limit", "cursor"}
    answer: httpx.Response = await client.get("/v1/jobs?wait=1")
    assert answer.status_code == 422


async def test_every_format_of_an_answer_is_described(client):
    operations = _operations(await _description(client))

    def formats(path):
        return set(operations["get", path]["responses"]["200"]["content"])

    parquet = "application/vnd.apache.parquet"
    assert formats("/v1/reports") == {"application/json", "text/csv", parquet}
    assert formats("/v1/jobs/{job_id}/readings") == {"application/json", parquet}
    assert formats("/metrics") == {"text/plain"}
    assert "content" not in operations["get", "/v1/jobs/{job_id}/report"]["responses"]["304"]
