"""The asynchronous twin: the same calls, and the same errors."""

import inspect
import socket

import numpy as np
import pytest

from app.client import AsyncClient, Client
from app.domain.errors import NotFoundError, SpecError, StateError, UnavailableError
from app.domain.jobs import JobStatus
from app.domain.specs import JobSpec

SPEC = JobSpec(model_type="cnn", size="tiny", tags={"team": "vision"})
ENTERED = {"__enter__": "__aenter__", "__exit__": "__aexit__"}


def calls(client):
    return {
        name: inspect.signature(call)
        for name, call in vars(client).items()
        if inspect.isfunction(call) and (name in ENTERED or not name.startswith("_"))
    }


def test_both_have_the_same_calls_with_the_same_arguments():
    twin = {
        name: inspect.signature(call)
        for name, call in vars(AsyncClient).items()
        if inspect.isfunction(call) and (name in ENTERED.values() or not name.startswith("_"))
    }
    ours = {ENTERED.get(name, name): call.parameters for name, call in calls(Client).items()}
    assert {name: call.parameters for name, call in twin.items()} == ours


@pytest.fixture
async def awaited(url):
    async with AsyncClient(url) as opened:
        yield opened


async def test_a_jobs_way(awaited):
    job = await awaited.submit(SPEC, idempotency_key="k1")
    assert (await awaited.get(job.id)) == job
    assert (await awaited.list(tag=("team", "vision"))).items == (job,)
    with pytest.raises(StateError):
        await awaited.report(job.id)
    assert (await awaited.cancel(job.id)).status is JobStatus.CANCELLED
    assert (await awaited.report(job.id)).duration_s == 0
    (row,) = (await awaited.reports()).items
    assert row.job_id == job.id
    assert (await awaited.export(job.id, "statement")).startswith("# Energy statement")
    with pytest.raises(NotFoundError):
        await awaited.readings(job.id, attempt=1)
    with pytest.raises(SpecError, match="epochs"):
        await awaited.submit({"model_type": "cnn", "epochs": 0})
    with pytest.raises(NotFoundError):
        async for _ in awaited.events("none"):
            raise AssertionError


async def test_the_catalogue_and_data_sets(awaited, tmp_path):
    assert {item["name"] for item in (await awaited.workloads())["model_types"]} >= {"cnn"}
    assert await awaited.hosts() == ()
    assert await awaited.ready()
    labels = np.arange(120) % 2
    np.savez(tmp_path / "mine.npz", x_train=np.zeros((120, 3), np.float32), y_train=labels)
    made = await awaited.upload_dataset(tmp_path / "mine.npz", "mine")
    assert (made.name, made.classes) == ("mine", 2)
    assert [one.name for one in await awaited.datasets()] == ["mine"]
    await awaited.delete_dataset("mine")
    assert await awaited.datasets() == ()


async def test_nothing_that_listens_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with AsyncClient(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(UnavailableError, match="trainwatt serve"):
            await client.list()
        assert not await client.ready()
