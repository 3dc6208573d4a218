"""Data sets of users: taken in within bounds, filled into specs, and listed beside the others."""

import asyncio
import errno
import io
import subprocess
import sys

import numpy as np
import pytest

from app.domain.errors import (
    FullError,
    NameTakenError,
    NotFoundError,
    QueueFullError,
    SpecError,
    UnavailableError,
)
from app.domain.specs import JobSpec
from app.service import Service, datasets
from app.service.datasets import TooLongError
from app.settings import Settings


def npz(samples=120, shape=(28, 28), classes=2, dtype="u1"):
    file = io.BytesIO()
    x = np.zeros((samples, *shape), dtype)
    np.savez_compressed(file, x_train=x, y_train=np.arange(samples) % classes)
    return file.getvalue()


async def chunks(content, size=1000):
    for at in range(0, len(content), size):
        yield content[at : at + size]


@pytest.fixture
def service(store, tmp_path):
    return Service(store, Settings(data_dir=tmp_path, max_dataset_mib=1))


async def upload(service, name="mine", content=None):
    return await service.upload(name, chunks(npz() if content is None else content))


def spec(**dataset):
    return JobSpec.model_validate({"model_type": "cnn", "dataset": dataset})


async def test_an_upload_is_kept_as_it_came(service, store, tmp_path):
    content = npz()
    made, new = await upload(service, content=content)
    assert new
    assert (made.name, made.shape, made.classes) == ("mine", (28, 28), 2)
    assert (made.training_samples, made.validation_samples, made.test_samples) == (96, 12, 12)
    assert (made.min_training_samples, made.size_bytes) == (2, len(content))
    assert "uint8 scaled to 0..1" in made.title
    assert b"".join([part async for part in store.dataset_parts(made.sha256)]) == content
    assert await service.dataset("mine") == made
    assert await service.datasets() == (made,)
    assert list((tmp_path / "uploads").iterdir()) == []


async def test_the_same_again_and_other_bytes(service):
    made, _ = await upload(service)
    assert await upload(service) == (made, False)
    with pytest.raises(NameTakenError, match="'mine'"):
        await upload(service, content=npz(121))
    await service.delete_dataset("mine")
    with pytest.raises(NotFoundError):
        await service.dataset("mine")
    assert (await upload(service, content=npz(121)))[1]


@pytest.mark.parametrize("name", ["mnist5k", "digits", "synthetic"])
async def test_a_built_in_name_is_refused(service, name):
    with pytest.raises(SpecError, match="other than those built in"):
        await upload(service, name)


async def test_what_is_too_long_is_not_read_on(service, tmp_path):
    read = 0

    async def endless():
        nonlocal read
        while True:
            read += 2**16
            yield bytes(2**16)

    with pytest.raises(TooLongError, match="longer than 1 MiB"):
        await service.upload("mine", endless())
    assert read <= 2**20 + 2**16
    assert list((tmp_path / "uploads").iterdir()) == []


async def test_all_data_sets_together_are_bounded(store, tmp_path):
    service = Service(store, Settings(data_dir=tmp_path, max_datasets_total_mib=1))
    noise = np.random.default_rng(0).integers(0, 256, (120, 6000), dtype=np.uint8)
    file = io.BytesIO()
    np.savez(file, x_train=noise[:, :4000], y_train=np.arange(120) % 2)
    for name in ("one", "two"):
        await upload(service, name, file.getvalue())
    with pytest.raises(TooLongError, match=r"1,048,576 bytes together.*delete one first"):
        await upload(service, "three", file.getvalue())
    await service.delete_dataset("one")
    assert (await upload(service, "three", file.getvalue()))[1]


async def test_only_so_many_are_received_at_once(service):
    more = asyncio.Event()

    async def slow():
        await more.wait()
        yield npz()

    waiting = [asyncio.ensure_future(service.upload(f"n{n}", slow())) for n in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFullError, match="being uploaded"):
        await upload(service)
    more.set()
    assert all(new for _, new in await asyncio.gather(*waiting))
    await upload(service)


async def test_a_place_that_cannot_be_written(store, tmp_path):
    (tmp_path / "file").touch()
    service = Service(store, Settings(data_dir=tmp_path / "file"))
    with pytest.raises(UnavailableError, match="TRAINWATT_DATA_DIR"):
        await upload(service)


async def test_a_full_disk(service, monkeypatch):
    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(datasets.tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(FullError, match=r"No space left.*free some space"):
        await upload(service)


async def test_a_spec_is_filled_in_and_queued(service):
    made, _ = await upload(service)
    facts = await service.check(spec(name="mine"))
    assert (facts.input_shape, facts.training_samples) == ((28, 28, 1), 96)
    job = await service.submit(spec(name="mine", samples=50))
    assert job.spec.dataset.uploaded == made.in_a_spec()
    again = await service.submit(job.spec)
    assert again.spec_sha256 == job.spec_sha256
    assert job.spec_sha256 != (await service.submit(spec(name="mine"))).spec_sha256


async def test_a_key_finds_its_job_though_the_data_are_gone(service):
    await upload(service)
    job = await service.submit(spec(name="mine"), key="k")
    assert await service.submit(spec(name="mine"), key="k") == job
    await service.cancel(job.id)
    await service.delete_dataset("mine")
    assert (await service.submit(spec(name="mine"), key="k")).id == job.id


async def test_an_unknown_name_is_refused_with_all_that_there_are(service):
    await upload(service)
    for name in ("other", "a\0b"):
        with pytest.raises(SpecError, match="one of mnist5k, digits, synthetic, mine"):
            await service.submit(spec(name=name))


async def test_of_many_names_only_some_are_listed(service, monkeypatch):
    monkeypatch.setattr(datasets, "MAX_NAMES", 4)
    for name in ("a", "b", "c"):
        await upload(service, name)
    with pytest.raises(SpecError, match=r"one of mnist5k, digits, synthetic, a and 2 more, rec"):
        await service.submit(spec(name="other"))


async def test_what_a_user_says_of_the_data_must_be_so(service):
    made, _ = await upload(service)
    known = made.in_a_spec().model_dump(mode="json")
    assert await service.check(spec(name="mine", uploaded=known))
    for other in ({"classes": 3}, {"sha256": "a" * 64}):
        with pytest.raises(SpecError, match=r"dataset.uploaded: expected null, or what"):
            await service.check(spec(name="mine", uploaded=known | other))
    with pytest.raises(SpecError, match=r"dataset.name: expected one of"):
        await service.check(spec(name="none", uploaded=known))
    with pytest.raises(SpecError, match=r"dataset.uploaded: expected null: digits is built in"):
        await service.check(spec(name="digits", uploaded=known))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"dataset": {"name": "mine", "samples": 97}}, "dataset.samples"),
        ({"dataset": {"name": "mine", "samples": 1}}, "dataset.samples"),
        ({"dataset": {"name": "mine", "shape": [28, 28]}}, "dataset.shape"),
        ({"dataset": {"name": "mine"}, "batch_size": 97}, "batch_size"),
        ({"dataset": {"name": "row"}}, "dataset.shape"),
    ],
)
async def test_what_does_not_fit_is_refused_before_it_is_queued(service, fields, field):
    await upload(service)
    await upload(service, "row", npz(shape=(9,)))
    with pytest.raises(SpecError, match=f"{field}: expected"):
        await service.submit(JobSpec.model_validate({"model_type": "cnn", **fields}))


async def test_the_catalogue_lists_it_where_it_fits(service):
    await upload(service)
    await upload(service, "row", npz(shape=(9,)))
    listing = await service.workloads()
    assert [data["name"] for data in listing["datasets"]][-2:] == ["mine", "row"]
    assert listing["datasets"][-2].keys() == listing["datasets"][0].keys()
    assert listing["datasets"][-2]["shape"] == [28, 28]
    usable = {model["name"]: model["datasets"] for model in listing["model_types"]}
    assert usable["cnn"][-1] == "mine"
    assert {"mine", "row"} <= set(usable["mlp"])


def test_an_upload_is_looked_through_without_numpy_or_tensorflow():
    code = (
        "import sys, app.bootstrap, app.api.app; "
        "sys.exit(any(name in sys.modules for name in ('numpy', 'tensorflow', 'keras')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
