"""Every route: what is asked, what is answered, and that answers are as the description says."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.api.routes import HostsView, JobPageView, JobView, WorkloadsView
from app.domain.errors import QueueFullError, UnavailableError
from app.domain.jobs import JobFilter, JobStatus
from app.domain.readings import Readings
from app.domain.reports import EnergyReport
from app.service import Service

LEAST = {"model_type": "cnn", "size": "base", "epochs": 3}


async def _submitted(client, **more):
    answer = await client.post("/v1/jobs", json=LEAST | more)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def test_submit_answers_202_with_location_and_the_job(client):
    answer = await client.post("/v1/jobs", json=LEAST)
    job = JobView.model_validate_json(answer.content)
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{job.id}" == job.links.self
    assert job.links.report == f"/v1/jobs/{job.id}/report"
    assert job.links.events == f"/v1/jobs/{job.id}/events"
    assert (job.status, job.spec.dataset.name, job.spec.epochs) == ("queued", "mnist5k", 3)
    shown = await client.get(answer.headers["location"])
    assert shown.json() == answer.json()


async def test_submit_takes_the_whole_spec_of_the_contract(client):
    spec = {
        "model_type": "cnn",
        "size": {"width": 1.5, "depth": 2},
        "epochs": 3,
        "dataset": {"name": "synthetic", "samples": 500, "shape": [28, 28, 1], "classes": 10},
        "batch_size": 32,
        "learning_rate": 0.001,
        "seed": 0,
        "execution": {
            "precision": "float32",
            "jit_compile": "auto",
            "steps_per_execution": 16,
            "input_pipeline": "auto",
            "threads": 2,
        },
        "target_accuracy": None,
        "limits": {"timeout_s": 60, "energy_j": None, "emissions_g": None},
        "placement": {"labels": ["host:h1"]},
        "priority": 3,
        "tags": {"team": "vision: a"},
        "carbon": {
            "country_iso_code": "FRA",
            "region": None,
            "intensity_g_per_kwh": None,
            "pue": 1.2,
        },
    }
    answer = await client.post("/v1/jobs", json=spec)
    assert answer.status_code == 202, answer.text
    assert answer.json()["spec"] == spec


async def test_list_passes_every_filter_on(client, memory):
    first, second = await _submitted(client), await _submitted(client)
    answer = await client.get(
        "/v1/jobs?status=running&model_type=cnn&host=h1&tag=team:a:b&limit=7&cursor=abc"
    )
    page = JobPageView.model_validate_json(answer.content)
    assert [job.id for job in page.items] == [second["id"], first["id"]]
    assert page.next_cursor == "next"
    meant = JobFilter(status=JobStatus.RUNNING, model_type="cnn", host="h1", tag=("team", "a:b"))
    assert memory.asked == {"wanted": meant, "limit": 7, "cursor": "abc"}


async def test_list_without_filters_asks_for_fifty(client, memory):
    await client.get("/v1/jobs")
    assert memory.asked == {"wanted": JobFilter(), "limit": 50, "cursor": None}


@pytest.mark.parametrize(
    ("query", "field", "expected"),
    [
        ("wait=30", "wait", "no such query parameter"),
        ("experiment=e1", "experiment", "no such query parameter"),
        ("stauts=queued", "stauts", "no such query parameter (did you mean status?)"),
        ("limit=0", "limit", "an integer ≥ 1 and ≤ 500"),
        ("limit=x", "limit", "an integer ≥ 1 and ≤ 500"),
        ("limit=1&limit=2", "limit", "once at most"),
        ("status=done", "status", "one of queued, running, succeeded"),
        ("host=", "host", "text of at most 256 characters"),
        ("host=%00", "host", "text of at most 256 characters"),
        ("tag=novalue", "tag", "text matching"),
    ],
)
async def test_query_parameters_that_do_not_hold_are_refused(client, query, field, expected):
    answer = await client.get(f"/v1/jobs?{query}")
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == field
    assert error["expected"].startswith(expected)


@pytest.mark.parametrize(
    "call",
    [
        ("POST", "/v1/jobs"),
        ("GET", "/v1/jobs/j"),
        ("POST", "/v1/jobs/j/cancel"),
        ("GET", "/v1/jobs/j/report"),
        ("GET", "/v1/jobs/j/readings"),
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


async def test_an_idempotency_key_is_refused_as_it_is_not_honoured_yet(client, memory):
    answer = await client.post("/v1/jobs", json=LEAST, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert memory.jobs == {}


@pytest.mark.parametrize("path", ["/v1/jobs/{}", "/v1/jobs/{}/report", "/v1/jobs/{}/readings"])
@pytest.mark.parametrize("job_id", ["nothing", "a%00b", "x" * 200, "..%2f"])
async def test_an_unknown_job_is_404(client, path, job_id):
    answer = await client.get(path.format(job_id))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_cancel_of_a_queued_job_leaves_an_empty_report(client):
    job = await _submitted(client, carbon={"country_iso_code": "FRA"})
    answer = await client.post(f"/v1/jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    report = EnergyReport.model_validate_json((await client.get(job["links"]["report"])).content)
    assert (report.status, report.duration_s, report.energy.total_j) == ("cancelled", 0, None)
    assert report.emissions.country_iso_code == "FRA"


async def test_cancel_of_a_final_job_is_409_with_its_status(client, memory):
    job = await _submitted(client)
    memory.set(job["id"], status=JobStatus.SUCCEEDED)
    answer = await client.post(f"/v1/jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.json()["job_status"]) == (409, "succeeded")


async def test_report_of_a_running_job_is_409_with_its_status(client, memory):
    job = await _submitted(client)
    memory.start(job["id"])
    answer = await client.get(f"/v1/jobs/{job['id']}/report")
    assert (answer.status_code, answer.json()["job_status"]) == (409, "running")
    assert answer.json()["status"] == 409


async def test_report_bytes_go_out_as_they_are_stored(client, memory):
    job = await _submitted(client)
    memory.reports[job["id"]] = b'{"not":   "parsed"}'
    answer = await client.get(f"/v1/jobs/{job['id']}/report")
    assert answer.content == b'{"not":   "parsed"}'
    assert answer.headers["content-type"] == "application/json"


async def test_readings_of_an_attempt(client, memory):
    job = await _submitted(client)
    memory.start(job["id"])
    for path in ("readings", "readings?attempt=1"):
        answer = await client.get(f"/v1/jobs/{job['id']}/{path}")
        readings = Readings.model_validate_json(answer.content)
        assert (answer.status_code, readings.attempt) == (200, 1)
        assert answer.headers["content-type"] == "application/json"
        assert readings.to_bytes() == answer.content


async def test_readings_that_are_not_there(client, memory):
    job = await _submitted(client)
    path = f"/v1/jobs/{job['id']}/readings"
    queued = await client.get(path)
    assert (queued.status_code, queued.json()["job_status"]) == (409, "queued")
    memory.start(job["id"])
    assert (await client.get(f"{path}?attempt=2")).status_code == 404
    assert (await client.get(f"{path}?attempt=0")).status_code == 422
    parquet = {"Accept": "application/vnd.apache.parquet"}
    assert (await client.get(path, headers=parquet)).status_code == 406


async def test_workloads_are_the_catalogue(client):
    answer = await client.get("/v1/workloads")
    listing = WorkloadsView.model_validate_json(answer.content)
    cnn = next(found for found in listing.model_types if found.name == "cnn")
    assert cnn.sizes["base"].parameters == 225_034
    assert listing.model_dump(mode="json") == answer.json()


async def test_hosts(client, memory, a_host):
    assert (await client.get("/v1/hosts")).json() == {"items": []}
    memory.known_hosts = (a_host,)
    answer = await client.get("/v1/hosts")
    assert HostsView.model_validate_json(answer.content).items == [a_host]


async def test_a_full_queue_is_429_and_says_when_to_try_again(client, memory):
    job = await _submitted(client)
    memory.fails = QueueFullError("10 jobs wait already.")
    answer = await client.get(f"/v1/jobs/{job['id']}")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "10")


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
