"""Notices of changed jobs: heard by whoever waits for that job, and again after a break."""

import asyncio
import logging

import psycopg
import pytest

from app.storage import notices

LONG_S = 60.0
CONNECTIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE "
    "'LISTEN trainwatt%'"
)


def _do(url, statement):
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement).fetchall()


async def _until(found):
    while not found():
        await asyncio.sleep(0.01)


@pytest.fixture
async def job(store, make_spec):
    return await store.submit(make_spec(), max_queued=9)


async def _connected(news):
    """Everybody is woken once the listener is there."""
    assert await news.wait(LONG_S)


async def test_every_change_of_a_job_is_heard_by_all_who_wait_for_it(
    store, job, make_spec, make_reading, make_readings
):
    with store.news(job.id) as one, store.news(job.id) as two:
        await asyncio.gather(_connected(one), _connected(two))
        await store.claim(job.id, "box")
        assert await one.wait(LONG_S)
        assert await two.wait(LONG_S)
        await store.begin_attempt(job.id, 1, make_readings(1, make_reading(0.0)))
        assert await one.wait(LONG_S)
        await store.append(job.id, 1, [make_reading(1.0)])
        assert await one.wait(LONG_S)
        assert await two.wait(LONG_S)  # of both changes at once
        assert not await two.wait(0.0)
        other = await store.submit(make_spec(), max_queued=9)
        with store.news(other.id) as news:
            await store.claim(other.id, "box")
            assert await news.wait(LONG_S)
        assert not await one.wait(0.0)


async def test_one_connection_serves_all_and_goes_with_the_store(store, job, database_url):
    with store.news(job.id) as first, store.news("another") as second:
        await asyncio.gather(_connected(first), _connected(second))
        assert _do(database_url, CONNECTIONS) == [(1,)]
    await store.close()
    await _until(lambda: _do(database_url, CONNECTIONS) == [(0,)])


async def test_nobody_is_remembered_who_does_not_wait_any_more(store, job):
    with pytest.raises(ZeroDivisionError), store.news(job.id):
        raise ZeroDivisionError
    with store.news(job.id), store.news(job.id):
        pass
    assert store._listener._waiting == {}


async def test_a_broken_connection_is_made_again_and_wakes_all(
    store, job, database_url, monkeypatch, caplog
):
    monkeypatch.setattr(notices, "RETRY_S", 0.05)
    with store.news(job.id) as news, caplog.at_level(logging.WARNING):
        await _connected(news)
        _do(database_url, CONNECTIONS.replace("count(*)", "pg_terminate_backend(pid)"))
        assert await news.wait(LONG_S)  # what may have changed meanwhile
        await store.claim(job.id, "box")
        assert await news.wait(LONG_S)
    assert "not heard" in caplog.text


async def test_a_silent_connection_is_asked_whether_it_lives(store, job, monkeypatch):
    monkeypatch.setattr(notices, "CHECK_S", 0.02)
    with store.news(job.id) as news:
        await _connected(news)
        await asyncio.sleep(0.2)
        assert not await news.wait(0.0)  # it lives, so nobody is woken
        await store.claim(job.id, "box")
        assert await news.wait(LONG_S)
