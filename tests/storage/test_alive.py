"""The light look at a worker's sign of life."""

import pytest

from app.domain.errors import UnavailableError
from app.storage.alive import trouble


async def test_a_worker_that_beats_is_no_trouble(store, database_url, make_host):
    await store.beat(make_host("here"))
    assert trouble(database_url, "here", lease_s=30) is None
    assert "elsewhere" in trouble(database_url, "elsewhere", lease_s=30)


async def test_a_worker_that_is_silent_is(store, database_url, make_host):
    await store.beat(make_host("here"))
    assert "last heard" in trouble(database_url, "here", lease_s=0)


async def test_a_worker_that_is_not_warm_is(store, database_url, make_host):
    await store.beat(make_host("here", ready=False))
    assert "warmed" in trouble(database_url, "here", lease_s=30)


def test_a_database_that_nobody_has_worked_on_is(empty_database_url):
    assert "No worker" in trouble(empty_database_url, "here", lease_s=30)


def test_a_database_that_does_not_answer_is_named():
    with pytest.raises(UnavailableError, match="127.0.0.1:9"):
        trouble("postgresql://127.0.0.1:9/none", "here", lease_s=30)
