"""Idempotency keys: one job a key and spec, whatever happens meanwhile, for a day."""

import asyncio

import psycopg
import pytest

from app.domain.errors import IdempotencyError, QueueFullError


def _do(url, statement, *values):
    with psycopg.connect(url) as connection:
        return connection.execute(statement, values).rowcount


async def test_twenty_at_once_make_one_job(store, make_spec, database_url):
    spec = make_spec(tags={"team": "a"})
    made = await asyncio.gather(*(store.submit(spec, max_queued=99, key="k1") for _ in range(20)))
    assert len({job.id for job in made}) == 1
    assert _do(database_url, "SELECT FROM jobs") == 1
    assert _do(database_url, "SELECT FROM procrastinate_jobs") == 1


@pytest.mark.parametrize(
    "other",
    [
        {"epochs": 4},
        {"tags": {"team": "b"}},
        {"carbon": {"country_iso_code": "FRA"}},
        {"priority": 1},
        {"placement": {"labels": ["gpu"]}},
    ],
)
async def test_any_part_of_the_spec_counts(store, make_spec, other):
    job = await store.submit(make_spec(), max_queued=9, key="k1")
    with pytest.raises(IdempotencyError, match=job.id):
        await store.submit(make_spec(**other), max_queued=9, key="k1")
    with pytest.raises(IdempotencyError):
        await store.submitted(make_spec(**other), "k1")


async def test_the_order_of_tags_does_not_count(store, make_spec):
    job = await store.submit(make_spec(tags={"a": "1", "b": "2"}), max_queued=9, key="k1")
    same = await store.submit(make_spec(tags={"b": "2", "a": "1"}), max_queued=9, key="k1")
    assert same.id == job.id


async def test_a_known_key_finds_its_job_in_a_full_queue(store, make_spec):
    job = await store.submit(make_spec(), max_queued=1, key="k1")
    with pytest.raises(QueueFullError):
        await store.submit(make_spec(), max_queued=1, key="k2")
    assert await store.submitted(make_spec(), "k2") is None  # a refused one is not kept
    assert await store.submit(make_spec(), max_queued=1, key="k1") == job
    assert await store.submitted(make_spec(), "k1") == job


async def test_a_key_is_free_again_after_a_day_and_deleted_by_any_submission(
    store, make_spec, database_url
):
    job = await store.submit(make_spec(), max_queued=9, key="k1")
    age = "UPDATE idempotency_keys SET created_at = now() - %s::interval"
    _do(database_url, age, "23:59")
    assert (await store.submit(make_spec(), max_queued=9, key="k1")).id == job.id
    _do(database_url, age, "24:01")
    assert await store.submitted(make_spec(epochs=4), "k1") is None
    await store.submit(make_spec(), max_queued=9)
    assert _do(database_url, "SELECT FROM idempotency_keys") == 0
    assert (await store.submit(make_spec(epochs=4), max_queued=9, key="k1")).id != job.id
