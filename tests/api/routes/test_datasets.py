"""The routes of users' data sets, on a real database."""

import asyncio
import io
from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx
import numpy as np
import pytest

from app.api.app import create_app
from app.api.routes import datasets
from app.api.routes.views import UploadedDatasetsView, WorkloadsView
from app.domain.datasets import UploadedDataset
from app.service import Service
from app.service.datasets import MAX_UPLOADS
from app.settings import Settings

TYPE = {"Content-Type": "application/octet-stream"}


def npz(samples=120):
    file = io.BytesIO()
    x = np.zeros((samples, 28, 28), np.uint8)
    np.savez_compressed(file, x_train=x, y_train=np.arange(samples) % 2)
    return file.getvalue()


@pytest.fixture
def app(store, tmp_path):
    @asynccontextmanager
    async def open_service():
        yield Service(
            store, Settings(data_dir=tmp_path, max_dataset_mib=1, max_datasets_total_mib=1)
        )

    return create_app(open_service)


@pytest.fixture
def upload(client):
    async def send(name="mine", content=None, **how):
        given = {"params": {"name": name}, "headers": TYPE} | how
        return await client.post("/v1/datasets", content=content or npz(), **given)

    return send


async def test_a_data_set_is_made_shown_listed_and_deleted(client, upload):
    made = await upload()
    assert made.status_code == 201
    assert made.headers["location"] == "/v1/datasets/mine"
    assert UploadedDataset.model_validate_json(made.content).training_samples == 96
    shown = await client.get("/v1/datasets/mine")
    assert (shown.status_code, shown.json()) == (200, made.json())
    listed = await client.get("/v1/datasets")
    assert UploadedDatasetsView.model_validate_json(listed.content).items[0].name == "mine"
    workloads = WorkloadsView.model_validate_json((await client.get("/v1/workloads")).content)
    assert workloads.datasets[-1].name == "mine"
    gone = await client.delete("/v1/datasets/mine")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await client.get("/v1/datasets/mine")).status_code == 404
    assert (await client.delete("/v1/datasets/mine")).status_code == 404
    assert (await client.get("/v1/datasets")).json() == {"items": []}


async def test_the_same_bytes_again_and_others(upload):
    first = await upload()
    again = await upload()
    assert (again.status_code, again.json()) == (200, first.json())
    other = await upload(content=npz(121))
    assert other.status_code == 409
    assert other.json()["type"] == "urn:trainwatt:problem:name-taken"


async def test_a_job_trains_on_it_and_keeps_it(client, upload):
    made = (await upload()).json()
    job = await client.post("/v1/jobs", json={"model_type": "cnn", "dataset": {"name": "mine"}})
    assert job.json()["spec"]["dataset"]["uploaded"]["sha256"] == made["sha256"]
    kept = await client.delete("/v1/datasets/mine")
    assert (kept.status_code, kept.json()["job_status"]) == (409, "queued")
    assert (await client.post(f"{job.json()['links']['self']}/cancel")).status_code == 202
    assert (await client.delete("/v1/datasets/mine")).status_code == 204


async def test_an_unknown_data_set_is_refused_with_the_names(client, upload):
    await upload()
    answer = await client.post("/v1/jobs", json={"model_type": "cnn", "dataset": {"name": "m"}})
    (error,) = answer.json()["errors"]
    assert error["expected"] == "one of mnist5k, digits, synthetic, mine"


@pytest.mark.parametrize(
    "name", ["", "A", ".x", "-x", "_x", "a/b", "../a", "a b", "ä", "a\0", "a\n", "a" * 65, "digits"]
)
async def test_a_name_that_cannot_be(upload, name):
    answer = await upload(name)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "name"


async def test_the_query_is_read_strictly(client, upload):
    assert (await upload(params={})).status_code == 422
    assert (await upload(params={"name": "a", "more": "b"})).status_code == 422
    assert (await upload(params=[("name", "a"), ("name", "b")])).status_code == 422
    for path in ("/v1/datasets", "/v1/datasets/a"):
        assert (await client.get(f"{path}?x=1")).status_code == 422


@pytest.mark.parametrize("name", ["A", "a%2Fb", "..%2Fa", "a" * 65, "%00"])
async def test_a_path_that_is_of_nothing(client, name):
    for method in ("GET", "DELETE"):
        assert (await client.request(method, f"/v1/datasets/{name}")).status_code == 404


@pytest.mark.parametrize("media", ["application/json", "multipart/form-data; boundary=x", ""])
async def test_another_media_type(upload, media):
    answer = await upload(headers={"Content-Type": media})
    assert answer.status_code == 415
    assert "application/octet-stream" in answer.json()["detail"]


@pytest.mark.parametrize("media", datasets.MEDIA)
async def test_media_types_of_npz_files(upload, media):
    assert (await upload(headers={"Content-Type": media})).status_code == 201


async def test_a_file_that_is_too_long(client, upload):
    async def chunked():
        for _ in range(20):
            yield bytes(2**16)

    announced = await upload(content=bytes(2**20 + 1))
    unannounced = await client.post(
        "/v1/datasets", params={"name": "a"}, headers=TYPE, content=chunked()
    )
    for answer in (announced, unannounced):
        assert answer.status_code == 413
        assert answer.json()["detail"] == "The file is longer than 1 MiB."


async def test_a_body_that_does_not_come(client, monkeypatch):
    monkeypatch.setattr(datasets, "SILENCE_S", 0.05)

    async def silent():
        yield b"PK"
        await asyncio.sleep(0.5)
        yield b""

    answer = await client.post("/v1/datasets", params={"name": "a"}, headers=TYPE, content=silent())
    assert answer.status_code == 408
    assert answer.json()["type"] == "urn:trainwatt:problem:request-timeout"


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when a test says so."""
    seconds = [0.0]
    monkeypatch.setattr(datasets, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    return seconds


async def test_a_body_that_comes_too_slowly_gives_its_place_up(client, upload, clock):
    async def slow():
        while True:
            await asyncio.sleep(0)
            clock[0] += 10 / MAX_UPLOADS  # each of them sends a byte every ten seconds
            yield b"K"

    answers = await asyncio.gather(*(upload(f"n{n}", slow()) for n in range(MAX_UPLOADS)))
    for answer in answers:
        assert answer.status_code == 408
        assert "comes too slowly: expected 64 KiB/s or more after 60 s" in answer.json()["detail"]
    assert (await upload()).status_code == 201


async def test_a_body_may_take_long_at_the_least_rate(client, clock):
    whole = npz()

    async def steady():
        for at in range(0, len(whole), 512):
            await asyncio.sleep(0)
            clock[0] += 500
            yield whole[at : at + 512]

    async def send(name):
        given = {"params": {"name": name}, "headers": TYPE}
        return await client.post("/v1/datasets", content=steady(), **given)

    assert (await send("slow")).status_code == 408
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "MIN_BYTES_PER_S", 1)
        assert (await send("steady")).status_code == 201


async def test_the_time_that_the_service_takes_is_not_the_bodys(clock):
    class Sent:
        async def stream(self):
            for _ in range(3):
                await asyncio.sleep(0)
                yield b"K"

    async for _ in datasets._chunks(Sent()):
        clock[0] += 1000


async def test_all_data_sets_together_are_bounded(client, upload):
    noise = np.random.default_rng(0).integers(0, 256, (120, 4000), dtype=np.uint8)
    file = io.BytesIO()
    np.savez(file, x_train=noise, y_train=np.arange(120) % 2)
    for name in ("one", "two"):
        assert (await upload(name, file.getvalue())).status_code == 201
    answer = await upload("three", file.getvalue())
    assert answer.status_code == 413
    assert "delete one first" in answer.json()["detail"]
    assert (await client.delete("/v1/datasets/one")).status_code == 204
    assert (await upload("three", file.getvalue())).status_code == 201


def test_a_long_file_is_refused_over_real_http(app, serving):
    with serving(app) as url:
        for content in (bytes(8 * 2**20), (bytes(2**16) for _ in range(128))):
            answer = httpx.post(
                f"{url}/v1/datasets", params={"name": "a"}, headers=TYPE, content=content
            )
            assert answer.status_code == 413
