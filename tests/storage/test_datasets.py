"""Data sets of users: kept once under their name, in chunks, and never lost to a job."""

import asyncio
import io
from datetime import UTC, datetime

import psycopg
import pytest

from app.domain.datasets import UploadedDataset
from app.domain.errors import NameTakenError, NotFoundError, StateError
from app.domain.specs import JobSpec
from app.storage import datasets
from app.storage.datasets import NoPlaceError
from app.storage.store import Store

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


async def add(store, made, file, max_total_bytes=1000):
    return await store.add_dataset(made, file, max_total_bytes=max_total_bytes)


async def whole(store, sha256="a" * 64):
    return b"".join([part async for part in store.dataset_parts(sha256)])


@pytest.mark.parametrize("content", [b"", b"123456789", b"12345678", bytes(range(256)) * 5])
async def test_a_file_comes_back_as_it_was(store, monkeypatch, content):
    monkeypatch.setattr(datasets, "PART_BYTES", 4)
    kept, made = await add(store, dataset(), io.BytesIO(content))
    assert (kept, made) == (dataset(), True)
    assert await store.find_dataset("mine") == dataset()
    assert await whole(store) == content
    assert await whole(store, "b" * 64) == b""


async def test_a_name_keeps_its_bytes(store):
    await add(store, dataset(), io.BytesIO(b"first"))
    again = dataset().model_copy(update={"created_at": datetime.now(UTC)})
    assert await add(store, again, io.BytesIO(b"first")) == (dataset(), False)
    with pytest.raises(NameTakenError, match="'mine' stands for other data"):
        await add(store, dataset(sha256="b" * 64), io.BytesIO(b"other"))
    assert await whole(store) == b"first"


async def test_the_same_bytes_under_two_names(store):
    for name in ("one", "two"):
        await add(store, dataset(name), io.BytesIO(b"same"))
    assert await whole(store) == b"same"
    await store.delete_dataset("one")
    assert await whole(store) == b"same"
    assert [kept.name for kept in await store.datasets()] == ["two"]


async def test_a_file_that_breaks_off_leaves_nothing(store, database_url):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        await add(store, dataset(), Broken())
    assert await store.datasets() == ()
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM dataset_parts").fetchone() == (0,)


async def test_what_is_deleted_is_gone_with_its_chunks(store, database_url):
    await add(store, dataset(), io.BytesIO(b"first"))
    await store.delete_dataset("mine")
    assert await store.find_dataset("mine") is None
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM dataset_parts").fetchone() == (0,)
    _, made = await add(store, dataset(sha256="b" * 64), io.BytesIO(b"other"))
    assert made


@pytest.mark.parametrize("name", ["none", "a\0b", "\ud800"])
async def test_what_there_is_not(store, name):
    assert await store.find_dataset(name) is None
    with pytest.raises(NotFoundError, match="no data set"):
        await store.delete_dataset(name)


async def test_a_job_that_is_not_final_keeps_its_data_set(store):
    await add(store, dataset(), io.BytesIO(b"first"))
    await add(store, dataset("free"), io.BytesIO(b"first"))
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


async def test_all_data_sets_together_are_bounded(store):
    await add(store, dataset("one"), io.BytesIO(b"first"), max_total_bytes=18)
    await add(store, dataset("two"), io.BytesIO(b"first"), max_total_bytes=18)
    words = "may have 18 bytes together; 18 are kept, and this one has 9: delete one first"
    with pytest.raises(NoPlaceError, match=words):
        await add(store, dataset("three"), io.BytesIO(b"first"), max_total_bytes=18)
    assert [kept.name for kept in await store.datasets()] == ["one", "two"]
    _, made = await add(store, dataset("two"), io.BytesIO(b"first"), max_total_bytes=1)
    assert not made
    with pytest.raises(NameTakenError):
        await add(store, dataset("two", "b" * 64), io.BytesIO(b"other"), max_total_bytes=1)
    await store.delete_dataset("one")
    await add(store, dataset("three"), io.BytesIO(b"first"), max_total_bytes=18)


async def test_who_comes_at_the_same_time_counts_too(store, database_url):
    async def try_to(store, name):
        try:
            return await add(store, dataset(name), io.BytesIO(b"first"), max_total_bytes=20)
        except NoPlaceError:
            return None

    other = await Store.open(database_url)
    try:
        tries = [try_to((store, other)[n % 2], f"n{n}") for n in range(6)]
        kept = [made for made in await asyncio.gather(*tries) if made]
    finally:
        await other.close()
    assert len(kept) == len(await store.datasets()) == 2
