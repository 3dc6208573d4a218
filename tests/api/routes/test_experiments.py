"""Experiments over HTTP: what is taken, what is refused with its field, events, cancel."""

import json
from pathlib import Path

import httpx
import pytest

from app.bootstrap import make_api
from app.settings import Settings

GRID = {
    "base": {"model_type": "cnn", "size": "tiny", "dataset": {"name": "digits"}},
    "vary": {"batch_size": [32, 128]},
    "repeats": 2,
}


@pytest.fixture
async def real(database_url, tmp_path, monkeypatch):
    monkeypatch.setattr("app.api.routes.experiments.LOOK_S", 0.05)
    app = make_api(Settings(database_url=database_url, data_dir=tmp_path))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as opened:
            yield opened


async def test_one_is_made_shown_listed_and_cancelled(real):
    answer = await real.post("/v1/experiments", json={**GRID, "name": "batches"})
    made = answer.json()
    here = answer.headers["location"]
    assert (answer.status_code, here) == (202, f"/v1/experiments/{made['id']}")
    assert (made["name"], made["jobs"], made["ended"]) == ("batches", {"queued": 4}, None)
    jobs = (await real.get(made["links"]["jobs"])).json()["items"]
    assert {job["spec"]["experiment_id"] for job in jobs} == {made["id"]}
    assert sorted((job["block"], job["variant"]) for job in jobs) == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]
    shown = (await real.get(here)).json()
    assert shown["result"]["best"] is None
    assert (await real.get("/v1/experiments?limit=1")).json()["items"] == [made]
    cancelled = await real.post(f"{here}/cancel")
    assert (cancelled.status_code, cancelled.json()["ended"]) == (202, "cancelled")
    again = await real.post(f"{here}/cancel")
    assert (again.status_code, again.json()["job_status"]) == (409, "cancelled")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"vary": {"batchsize": [1]}}, "vary[batchsize=1].batchsize"),
        ({"vary": {"epochs": [0]}}, "vary[epochs=0].epochs"),
        ({"vary": {"batch_size": []}}, "vary.batch_size"),
        ({"base": {"model_type": "x"}}, "vary[batch_size=32].model_type"),
        ({"base": None}, "base"),
        ({"budget": {"energy_j": 0}}, "budget.energy_j"),
        ({"repeats": 101}, "repeats"),
        ({"more": 1}, "more"),
        ({"vary": {}}, "vary"),
    ],
)
async def test_what_does_not_hold_is_refused_with_its_field(real, change, field):
    answer = await real.post("/v1/experiments", json=GRID | change)
    assert answer.status_code == 422, answer.text
    fields = [error["field"] for error in answer.json()["errors"]]
    assert any(name.startswith(field) for name in fields), fields
    assert (await real.get("/v1/experiments")).json()["items"] == []
    assert (await real.get("/v1/jobs")).json()["items"] == []


async def test_a_list_leaves_out_what_may_be_a_megabyte_an_experiment(real):
    file = Path(__file__).parents[2] / "workloads" / "own_cnn.json"
    base = {"model_type": "keras", "architecture": json.loads(file.read_text())}
    made = await real.post("/v1/experiments", json={"base": base, "variants": [{}], "repeats": 1})
    assert made.status_code == 202, made.text
    assert made.json()["spec"]["base"]["architecture"] == base["architecture"]
    (listed,) = (await real.get("/v1/experiments")).json()["items"]
    assert listed["spec"]["base"]["architecture"] is None


@pytest.mark.parametrize("path", ["", "/cancel", "/events"])
async def test_an_unknown_one_is_404(real, path):
    method = "POST" if path == "/cancel" else "GET"
    answer = await real.request(method, f"/v1/experiments/nothing{path}")
    assert answer.status_code == 404


async def test_the_events_of_one_that_has_ended_are_its_end(real):
    made = (await real.post("/v1/experiments", json={**GRID, "repeats": 1})).json()
    here = made["links"]["self"]
    told = []
    await real.post(f"{here}/cancel")
    async with real.stream("GET", f"{here}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                told.append(json.loads(line.removeprefix("data: ")))
    assert len(told) == 1
    assert (told[-1]["ended"], told[-1]["jobs"]) == ("cancelled", {"cancelled": 2})
    assert "result" in told[-1]
