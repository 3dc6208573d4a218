"""Data sets of users: kept once under their name, in chunks, and never lost to a job."""

import io
from datetime import UTC, datetime

import psycopg
import pytest

from app.domain.datasets import UploadedDataset
from app.domain.errors import NameTakenError, NotFoundError, StateError
from app.domain.specs import JobSpec
from app.storage import datasets

MOMENT = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)


def dataset(name="mine", sha256="a" * 64):
    return UploadedDataset(
        name=name,
        title="Größe ☃",
        sha256=sha256,
        size_bytes=9,
        shape=(4, 3),
        classes=2,
        training_samples=20,
        validation_samples=3,
        test_samples=3,
        min_training_samples=4,
        created_at=MOMENT,
    )


async def whole(store, sha256="a" * 64):
    return b"".join([part async for part in store.dataset_parts(sha256)])


@pytest.mark.parametrize("content", [b"", b"123456789", b"12345678", bytes(range(256)) * 5])
async def test_a_file_comes_back_as_it_was(store, monkeypatch, content):
    monkeypatch.setattr(datasets, "PART_BYTES", 4)
    kept, made = await store.add_dataset(dataset(), io.BytesIO(content))
    assert (kept, made) == (dataset(), True)
    assert await store.find_dataset("mine") == dataset()
    assert await whole(store) == content
    assert await whole(store, "b" * 64) == b""


async def test_a_name_keeps_its_bytes(store):
    await store.add_dataset(dataset(), io.BytesIO(b"first"))
    again = dataset().model_copy(update={"created_at": datetime.now(UTC)})
    assert await store.add_dataset(again, io.BytesIO(b"first")) == (dataset(), False)
    with pytest.raises(NameTakenError, match="'mine' stands for other data"):
        await store.add_dataset(dataset(sha256="b" * 64), io.BytesIO(b"other"))
    assert await whole(store) == b"first"


async def test_the_same_bytes_under_two_names(store):
    for name in ("one", "two"):
        await store.add_dataset(dataset(name), io.BytesIO(b"same"))
    assert await whole(store) == b"same"
    await store.delete_dataset("one")
    assert await whole(store) == b"same"
    assert [kept.name for kept in await store.datasets()] == ["two"]


async def test_a_file_that_breaks_off_leaves_nothing(store, database_url):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        await store.add_dataset(dataset(), Broken())
    assert await store.datasets() == ()
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM dataset_parts").fetchone() == (0,)


async def test_what_is_deleted_is_gone_with_its_chunks(store, database_url):
    await store.add_dataset(dataset(), io.BytesIO(b"first"))
    await store.delete_dataset("mine")
    assert await store.find_dataset("mine") is None
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM dataset_parts").fetchone() == (0,)
    _, made = await store.add_dataset(dataset(sha256="b" * 64), io.BytesIO(b"other"))
    assert made


@pytest.mark.parametrize("name", ["none", "a\0b", "\ud800"])
async def test_what_there_is_not(store, name):
    assert await store.find_dataset(name) is None
    with pytest.raises(NotFoundError, match="no data set"):
        await store.delete_dataset(name)


async def test_a_job_that_is_not_final_keeps_its_data_set(store):
    await store.add_dataset(dataset(), io.BytesIO(b"first"))
    await store.add_dataset(dataset("free"), io.BytesIO(b"first"))
    given = {"name": "mine", "uploaded": dataset().in_a_spec()}
    spec = JobSpec.model_validate({"model_type": "cnn", "dataset": given})
    job = await store.submit(spec, max_queued=9)
    with pytest.raises(StateError, match=f"job {job.id}, which is queued") as caught:
        await store.delete_dataset("mine")
    assert caught.value.status == "queued"
    await store.delete_dataset("free")
    await store.claim(job.id, "box")
    with pytest.raises(StateError, match="running"):
        await store.delete_dataset("mine")
    assert await store.find_dataset("mine") == dataset()
