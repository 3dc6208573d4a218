"""The file of a user's data set comes to the worker whole, once, and within bounds."""

import asyncio
import fcntl
import hashlib
import io
import os
import time
from datetime import UTC, datetime

import pytest

from app.domain.datasets import UploadedDataset
from app.domain.errors import TrainingError
from app.domain.specs import JobSpec
from app.storage import datasets as storage
from app.worker import datasets
from app.worker.datasets import fetch

MIB = 2**20


@pytest.fixture
def add(store, monkeypatch):
    """Keeps a file in chunks of four bytes; the spec of a job on it."""
    monkeypatch.setattr(storage, "PART_BYTES", 4)

    async def add(content, name="mine"):
        made = UploadedDataset(
            name=name,
            title="",
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            shape=(4, 3),
            classes=2,
            training_samples=20,
            validation_samples=3,
            test_samples=3,
            min_training_samples=4,
            created_at=datetime.now(UTC),
        )
        await store.add_dataset(made, io.BytesIO(content), max_total_bytes=MIB)
        given = {"name": name, "uploaded": made.in_a_spec()}
        return JobSpec.model_validate({"model_type": "cnn", "dataset": given})

    return add


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def file_of(spec):
    return f"{spec.dataset.uploaded.sha256}.npz"


async def test_a_built_in_set_needs_nothing(store, tmp_path):
    await fetch(store, JobSpec(model_type="cnn"), tmp_path / "cache", max_bytes=MIB)
    assert not (tmp_path / "cache").exists()


async def test_the_file_comes_byte_for_byte(store, add, tmp_path):
    spec = await add(b"0123456789")
    await fetch(store, spec, tmp_path / "cache", max_bytes=MIB)
    assert names(tmp_path / "cache") == [file_of(spec)]
    assert (tmp_path / "cache" / file_of(spec)).read_bytes() == b"0123456789"


async def test_a_good_file_is_kept_though_nobody_else_has_it(store, add, tmp_path):
    spec = await add(b"0123456789")
    await fetch(store, spec, tmp_path, max_bytes=MIB)
    await store.delete_dataset("mine")
    before = (tmp_path / file_of(spec)).stat().st_ino
    await fetch(store, spec, tmp_path, max_bytes=MIB)
    assert (tmp_path / file_of(spec)).stat().st_ino == before


@pytest.mark.parametrize("content", [b"", b"0123456780", b"0123"])
async def test_a_broken_file_is_fetched_again(store, add, tmp_path, content):
    spec = await add(b"0123456789")
    (tmp_path / file_of(spec)).write_bytes(content)
    await fetch(store, spec, tmp_path, max_bytes=MIB)
    assert (tmp_path / file_of(spec)).read_bytes() == b"0123456789"


async def test_what_was_deleted_meanwhile_is_gone(store, add, tmp_path):
    spec = await add(b"0123456789")
    await store.delete_dataset("mine")
    with pytest.raises(TrainingError, match="'mine' was deleted") as caught:
        await fetch(store, spec, tmp_path, max_bytes=MIB)
    assert caught.value.code == "dataset_gone"
    assert names(tmp_path) == []


async def test_what_is_deleted_while_it_comes_is_gone(store, add, tmp_path):
    spec = await add(b"0123456789")

    class Deleted:
        async def dataset_parts(self, sha256):
            async for part in store.dataset_parts(sha256):
                yield part
                await store.delete_dataset("mine")
                return

    with pytest.raises(TrainingError) as caught:
        await fetch(Deleted(), spec, tmp_path, max_bytes=MIB)
    assert caught.value.code == "dataset_gone"
    assert names(tmp_path) == []


async def test_who_asks_it_to_stop_finds_nothing_left(store, add, tmp_path):
    spec = await add(b"0123456789")
    asked = iter([False, True, True])
    await fetch(store, spec, tmp_path, max_bytes=MIB, stop=lambda: next(asked))
    assert names(tmp_path) == []


async def test_a_place_without_room(store, add, tmp_path, monkeypatch):
    spec = await add(b"0123456789")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(datasets.os, "fsync", full)
    with pytest.raises(TrainingError, match="No space left on device") as caught:
        await fetch(store, spec, tmp_path, max_bytes=MIB)
    assert caught.value.code == "dataset_unkept"
    assert names(tmp_path) == []


async def test_the_longest_unused_go_first_and_nothing_else_does(store, add, tmp_path):
    specs = [await add(bytes([n]) * 10, f"n{n}") for n in range(4)]
    for age, spec in enumerate(specs[:3]):
        await fetch(store, spec, tmp_path, max_bytes=MIB)
        os.utime(tmp_path / file_of(spec), (1000 + age, 1000 + age))
    for other in ("mnist5k.npz", "mine.npz", "x.tmp"):
        (tmp_path / other).write_bytes(bytes(1000))
    await fetch(store, specs[0], tmp_path, max_bytes=30)  # used again
    await fetch(store, specs[3], tmp_path, max_bytes=30)
    assert set(names(tmp_path)) == {
        *(file_of(specs[n]) for n in (0, 2, 3)),
        *("mnist5k.npz", "mine.npz", "x.tmp"),
    }
    await fetch(store, specs[1], tmp_path, max_bytes=5)  # one alone may be longer
    assert [name for name in names(tmp_path) if len(name) > 60] == [file_of(specs[1])]


async def test_what_lies_in_the_place_of_the_file_is_named(store, add, tmp_path):
    spec = await add(b"0123456789")
    (tmp_path / "cache" / file_of(spec)).mkdir(parents=True)
    with pytest.raises(TrainingError) as caught:
        await fetch(store, spec, tmp_path / "cache", max_bytes=MIB)
    assert caught.value.code == "dataset_unkept"
    assert "no folder lies in its place" in str(caught.value)
    assert f"cache/{file_of(spec)}" in str(caught.value)
    assert "free some space" not in str(caught.value)
    assert names(tmp_path / "cache") == [file_of(spec)]


@pytest.mark.parametrize("age_s", [0, 60])
@pytest.mark.parametrize("locked", [True, False])
async def test_what_a_killed_worker_left_goes_and_nothing_else(store, add, tmp_path, age_s, locked):
    spec = await add(b"0123456789")
    left, others = tmp_path / "dataset-abc.tmp", tmp_path / "tmpabc.tmp"
    for path in (left, others):
        path.write_bytes(bytes(9))
        os.utime(path, (time.time() - age_s,) * 2)
    with left.open("rb") as file:
        if locked:
            fcntl.flock(file, fcntl.LOCK_EX)
        await fetch(store, spec, tmp_path, max_bytes=MIB)
    gone = age_s > 0 and not locked
    assert left.exists() != gone
    assert others.exists()


async def test_a_file_on_its_way_is_not_taken_for_left(store, add, tmp_path):
    spec, other = await add(b"0123456789"), await add(b"9876543210", "other")

    class Slow:
        async def dataset_parts(self, sha256):
            async for part in store.dataset_parts(sha256):
                yield part
                (on_its_way,) = tmp_path.glob("*.tmp")
                os.utime(on_its_way, (1000, 1000))  # the database was silent for long
                await fetch(store, other, tmp_path, max_bytes=MIB)
                assert on_its_way.exists()

    await fetch(Slow(), spec, tmp_path, max_bytes=MIB)
    assert set(names(tmp_path)) == {file_of(spec), file_of(other)}


async def test_several_workers_fetch_the_same_at_once(store, add, tmp_path):
    spec = await add(bytes(range(100)))
    await asyncio.gather(*(fetch(store, spec, tmp_path, max_bytes=MIB) for _ in range(8)))
    assert names(tmp_path) == [file_of(spec)]
    assert (tmp_path / file_of(spec)).read_bytes() == bytes(range(100))


async def test_what_another_worker_drops_meanwhile_is_no_error(store, add, tmp_path, monkeypatch):
    specs = [await add(bytes([n]) * 10, f"n{n}") for n in range(2)]
    await fetch(store, specs[0], tmp_path, max_bytes=MIB)

    class Dropping:
        def fullmatch(self, name):
            (tmp_path / name).unlink()
            return True

    monkeypatch.setattr(datasets, "FILE", Dropping())
    await fetch(store, specs[1], tmp_path, max_bytes=MIB)
    assert names(tmp_path) == [file_of(specs[1])]
