"""The routes of jobs: submit and wait, list, show, cancel."""

import asyncio
import json
from pathlib import Path

import pytest

from app.api.routes.views import JobPageView, JobView
from app.domain.errors import IdempotencyError, QueueFullError, UnavailableError
from app.domain.jobs import JobFilter, JobStatus
from app.domain.reports import EnergyReport

LEAST = {"model_type": "cnn", "size": "base", "epochs": 3}


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
        "architecture": None,
        "size": {"width": 1.5, "depth": 2},
        "epochs": 3,
        "dataset": {
            "name": "synthetic",
            "samples": 500,
            "shape": [28, 28, 1],
            "classes": 10,
            "label_noise": 0.1,
            "uploaded": None,
        },
        "batch_size": 32,
        "learning_rate": 0.001,
        "seed": 0,
        "execution": {
            "mode": "graph",
            "precision": "float32",
            "jit_compile": "auto",
            "steps_per_execution": 16,
            "input_pipeline": "auto",
            "threads": 2,
        },
        "target_accuracy": None,
        "early_stopping": {"patience": 2},
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
        "experiment_id": None,
    }
    answer = await client.post("/v1/jobs", json=spec)
    assert answer.status_code == 202, answer.text
    assert answer.json()["spec"] == spec


async def test_list_passes_every_filter_on(client, memory, submitted):
    first, second = await submitted(), await submitted()
    answer = await client.get(
        "/v1/jobs?status=running&model_type=cnn&host=h1&tag=team:a:b&limit=7&cursor=abc"
    )
    page = JobPageView.model_validate_json(answer.content)
    assert [job.id for job in page.items] == [second["id"], first["id"]]
    assert page.next_cursor == "next"
    meant = JobFilter(status=JobStatus.RUNNING, model_type="cnn", host="h1", tag=("team", "a:b"))
    assert memory.asked == {"wanted": meant, "limit": 7, "cursor": "abc"}


async def test_a_list_leaves_out_what_may_be_a_megabyte_a_job(client, submitted):
    file = Path(__file__).parents[2] / "workloads" / "own_cnn.json"
    given = {"model_type": "keras", "architecture": json.loads(file.read_text())}
    job = await submitted(**given)
    assert job["spec"]["architecture"] == given["architecture"]
    (listed,) = (await client.get("/v1/jobs")).json()["items"]
    assert listed["spec"] == job["spec"] | {"architecture": None}
    shown = (await client.get(job["links"]["self"])).json()
    assert shown["spec"]["architecture"] == given["architecture"]


async def test_list_without_filters_asks_for_fifty(client, memory):
    await client.get("/v1/jobs")
    assert memory.asked == {"wanted": JobFilter(), "limit": 50, "cursor": None}


@pytest.mark.parametrize(
    ("query", "field", "expected"),
    [
        ("wait=30", "wait", "no such query parameter"),
        ("experimental=e1", "experimental", "no such query parameter (did you mean experiment?)"),
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
    "headers",
    [[""], ["x" * 256], ["é"], ["a\tb"], ["a", "b"]],
    ids=["none", "long", "é", "tab", "two"],
)
async def test_an_idempotency_key_of_the_wrong_form_is_refused(client, memory, headers):
    given = [("Idempotency-Key", value.encode()) for value in headers]
    answer = await client.post("/v1/jobs", json=LEAST, headers=given)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]
    assert memory.jobs == {}


async def test_a_key_that_is_known_gives_its_job(client, memory):
    key = {"Idempotency-Key": "".join(map(chr, range(0x21, 0x7F)))}
    first = await client.post("/v1/jobs", json=LEAST, headers=key)
    memory.known_hosts = ()
    again = await client.post("/v1/jobs", json=LEAST, headers=key)
    assert (again.status_code, again.headers["location"]) == (202, first.headers["location"])
    assert len(memory.jobs) == 1


async def test_a_key_of_another_spec_is_409_of_its_own_kind(client, memory):
    memory.fails = IdempotencyError("It is used.")
    answer = await client.post("/v1/jobs", json=LEAST, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:trainwatt:problem:idempotency-conflict"
    assert "job_status" not in answer.json()


async def test_a_request_waits_until_its_job_is_final(client, memory):
    async def end():
        while not memory.listeners:
            await asyncio.sleep(0.01)
        memory.set("job-1", status=JobStatus.RUNNING)
        await asyncio.sleep(0.01)
        memory.set("job-1", status=JobStatus.SUCCEEDED)

    answer, _ = await asyncio.gather(client.post("/v1/jobs?wait=300", json=LEAST), end())
    assert (answer.status_code, answer.json()["status"]) == (202, "succeeded")
    assert answer.headers["location"] == "/v1/jobs/job-1"
    assert memory.listeners == []


async def test_a_request_waits_for_so_many_seconds_at_most(client, memory):
    answer = await client.post("/v1/jobs?wait=0.05", json=LEAST)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert memory.listeners == []


async def test_a_database_that_is_away_does_not_lose_the_job_that_is_waited_for(client, memory):
    async def fail():
        while not memory.listeners:
            await asyncio.sleep(0.01)
        memory.fails = UnavailableError("away")
        memory.listeners[0][1].wake()

    answer, _ = await asyncio.gather(client.post("/v1/jobs?wait=0.2", json=LEAST), fail())
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")


async def test_a_request_that_waits_ends_with_the_server(app, client, memory):
    async def stop():
        while not memory.listeners:
            await asyncio.sleep(0.01)
        app.state.stopping.begin()

    answer, _ = await asyncio.gather(client.post("/v1/jobs?wait=300", json=LEAST), stop())
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")


@pytest.mark.parametrize("wait", ["-1", "300.1", "nan", "inf", "x", "", "1&wait=2"])
async def test_a_wait_out_of_its_range_is_refused(client, memory, wait):
    answer = await client.post(f"/v1/jobs?wait={wait}", json=LEAST)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["wait"]
    assert memory.jobs == {}


async def test_other_parameters_of_a_submission_are_refused(client, memory):
    answer = await client.post("/v1/jobs?wiat=1", json=LEAST)
    assert answer.status_code == 422
    assert "did you mean wait" in answer.json()["errors"][0]["expected"]
    assert memory.jobs == {}


async def test_cancel_of_a_queued_job_leaves_an_empty_report(client, submitted):
    job = await submitted(carbon={"country_iso_code": "FRA"})
    answer = await client.post(f"/v1/jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    report = EnergyReport.model_validate_json((await client.get(job["links"]["report"])).content)
    assert (report.status, report.duration_s, report.energy.total_j) == ("cancelled", 0, None)
    assert report.emissions.country_iso_code == "FRA"


async def test_cancel_of_a_final_job_is_409_with_its_status(client, memory, submitted):
    job = await submitted()
    memory.set(job["id"], status=JobStatus.SUCCEEDED)
    answer = await client.post(f"/v1/jobs/{job['id']}/cancel")
    assert (answer.status_code, answer.json()["job_status"]) == (409, "succeeded")


async def test_a_full_queue_is_429_and_says_when_to_try_again(client, memory, submitted):
    job = await submitted()
    memory.fails = QueueFullError("10 jobs wait already.")
    answer = await client.get(f"/v1/jobs/{job['id']}")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "10")
