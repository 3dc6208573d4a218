"""Quotes over HTTP: figures, pilots, the track record, and budgets that refuse a job."""

import asyncio
from datetime import UTC, datetime

import httpx
import pytest

from app.bootstrap import make_api
from app.settings import Settings

SPEC = {"model_type": "cnn", "size": "tiny", "epochs": 1, "dataset": {"name": "digits"}}


@pytest.fixture
async def real(store, make_host, database_url, tmp_path):
    await store.beat(make_host("box", last_seen=datetime.now(UTC)))
    app = make_api(Settings(database_url=database_url, data_dir=tmp_path))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as opened:
            yield opened


@pytest.fixture
def ran(real, store, finish_job):
    async def ran(count, **fields):
        for _ in range(count):
            job = (await real.post("/v1/jobs", json=SPEC | fields)).json()
            await finish_job(store, job["id"])

    return ran


async def test_a_quote_and_its_track_record(real, ran):
    before = await real.post("/v1/quotes", json={"spec": SPEC})
    assert (before.status_code, before.json()["basis"]) == (200, "none")
    assert (await real.get("/v1/quotes/track-record")).json() == {"overall": None, "items": []}
    await ran(4)
    quote = (await real.post("/v1/quotes", json={"spec": SPEC, "host": "box"})).json()
    assert (quote["basis"], quote["energy_j"]) == ("same_work", pytest.approx(200))
    assert quote["sentence"].startswith("About 200 J")
    record = (await real.get("/v1/quotes/track-record")).json()
    assert (record["overall"]["jobs"], record["items"][0]["model_type"]) == (1, "cnn")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "spec"),
        ({"spec": SPEC | {"epochs": 0}}, "spec.epochs"),
        ({"spec": SPEC | {"dataset": {"name": "x"}}}, "spec.dataset.name"),
        ({"spec": SPEC, "host": "x"}, "host"),
        ({"spec": SPEC, "pilot": "yes"}, "pilot"),
        ({"spec": SPEC, "pilots": True}, "pilots"),
    ],
)
async def test_what_does_not_hold_is_named(real, body, field):
    answer = await real.post("/v1/quotes", json=body)
    assert answer.status_code == 422
    assert field in [error["field"] for error in answer.json()["errors"]]


async def test_a_pilot_is_queued_and_waited_for(real, store, finish_job):
    asked = {"spec": SPEC | {"epochs": 40}, "pilot": True}
    first = await real.post("/v1/quotes", json=asked)
    assert (first.status_code, first.json()["reason"]) == (202, "few_like_jobs")
    waiting = asyncio.ensure_future(real.post("/v1/quotes?wait=60", json=asked))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await finish_job(store, first.json()["pilot_job"], epochs=2)
    told = await waiting
    assert (told.status_code, told.json()["basis"]) == (200, "pilot")


async def test_a_job_beyond_its_limit_is_refused_unless_forced(real, ran):
    await ran(3)
    tight = SPEC | {"limits": {"energy_j": 50}}
    refused = await real.post("/v1/jobs", json=tight)
    problem = refused.json()
    assert (refused.status_code, problem["type"]) == (409, "urn:trainwatt:problem:over-budget")
    assert problem["quote"]["energy_low_j"] == pytest.approx(200)
    (limit,) = problem["errors"]
    assert (limit["field"], limit["received"]) == ("limits.energy_j", 50)
    assert limit["expected"].startswith("a number ≥ ")
    assert "limits.energy_j is 50" in problem["detail"]
    forced = await real.post("/v1/jobs?force=true", json=tight)
    assert (forced.status_code, forced.json()["quote"]["basis"]) == (202, "same_work")


async def test_an_experiment_with_a_variant_beyond_its_limit_is_refused_whole(real, ran):
    await ran(3)
    grid = {"base": SPEC | {"limits": {"energy_j": 50}}, "vary": {"learning_rate": [0.1, 0.2]}}
    refused = await real.post("/v1/experiments", json=grid)
    assert (refused.status_code, refused.json()["quote"]["basis"]) == (409, "same_work")
    assert "vary[learning_rate=0.1]" in refused.json()["detail"]
    assert (await real.get("/v1/experiments")).json()["items"] == []
    assert (await real.post("/v1/experiments?force=true", json=grid)).status_code == 202
