"""Questions to a database that is away: again, for half a lease, and not while it is only full."""

import asyncio
import logging
import time

import pytest

from app.domain.errors import FullError, UnavailableError
from app.worker import watchdog
from app.worker.watchdog import Watchdog

AWAY = UnavailableError("the database does not answer")
FULL = FullError("the disk of the database is full")


class Database:
    """Raises what it is given, one answer a question, and then answers."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), 0

    async def __call__(self):
        self.asked += 1
        if self.answers:
            raise self.answers.pop(0)
        return "answer"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(watchdog, "AGAIN_S", 0.001)
    monkeypatch.setattr(watchdog, "FULL_AGAIN_S", 0.001)


@pytest.fixture
def told():
    """What a watchdog that gave up has said and ended, in order."""
    return []


@pytest.mark.parametrize("put", [Watchdog.ask, Watchdog.retry])
async def test_a_question_is_put_again_until_it_is_answered(put, told, caplog):
    database, dog = Database(AWAY, AWAY), Watchdog(600, told.append)
    assert await put(dog, database) == "answer"
    assert (database.asked, dog.failures, dog.lost, told) == (3, 2, None, [])
    assert caplog.text.count("trying again for 600 s") == 1
    assert "answers again" in caplog.text


async def test_after_its_patience_it_ends_what_is_guarded_and_gives_up_once(told):
    dog = Watchdog(0.02, told.append)

    with dog.guard(lambda: told.append("ended")):
        for _ in range(2):
            with pytest.raises(UnavailableError):
                await dog.retry(Gone(AWAY))
    assert told == ["ended", AWAY]
    assert dog.lost is AWAY


async def test_what_is_not_guarded_any_more_is_left_alone(told):
    dog = Watchdog(0, told.append)
    with dog.guard(lambda: told.append("ended")):
        pass
    with pytest.raises(UnavailableError):
        await dog.retry(Database(AWAY))
    assert told == [AWAY]


async def test_silence_is_a_failure_too_where_the_answer_takes_moments(told):
    dog = Watchdog(0.02, told.append)
    silent = asyncio.Event()
    asking = asyncio.create_task(dog.ask(silent.wait))
    while not told:
        await asyncio.sleep(0.001)
    assert "has not answered for 0.02 s" in str(dog.lost)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_the_silence_of_one_that_takes_long_is_none(told):
    dog = Watchdog(0.02, told.append)

    async def slow():
        await asyncio.sleep(0.1)
        return "answer"

    assert await dog.retry(slow) == "answer"
    assert told == []


@pytest.mark.parametrize("fault", [AWAY, FULL])
async def test_what_waited_for_long_before_it_failed_is_tried_for_as_long_as_any(told, fault):
    dog = Watchdog(0.2, told.append)
    database = Database(fault)

    async def late():
        if not database.asked:
            time.sleep(0.3)  # as one that is stopped, or waits for a lock
        return await database()

    assert await dog.retry(late) == "answer"
    assert (database.asked, told) == (2, [])


async def test_a_silence_before_a_failure_counts(told):
    """Else a network that drops everything would be waited for nearly twice as long."""
    dog = Watchdog(0.5, told.append)

    async def silent():
        await asyncio.sleep(0.4)
        raise AWAY

    with pytest.raises(UnavailableError):
        await dog.ask(silent)
    assert (dog.failures, told) == (2, [AWAY])


class Gone(Database):
    """Never answers; has the same fault every time."""

    async def __call__(self):
        self.asked += 1
        raise self.answers[0]


@pytest.mark.parametrize("fault", [AWAY, FULL])
async def test_a_worker_that_is_to_stop_does_not_wait_for_its_database(told, monkeypatch, fault):
    for pause in ("AGAIN_S", "FULL_AGAIN_S"):
        monkeypatch.setattr(watchdog, pause, 3600)
    monkeypatch.setattr(watchdog, "STOP_S", 0)
    dog, database = Watchdog(3600, told.append), Gone(fault)
    with dog.guard(lambda: told.append("ended")):
        asking = asyncio.create_task(dog.retry(database))
        while not database.asked:
            await asyncio.sleep(0)
        dog.stop()
        with pytest.raises(UnavailableError):
            await asyncio.wait_for(asking, 30)
    assert (told, database.asked) == (["ended", fault], 2)


async def test_one_that_stops_goes_on_for_a_moment(told):
    dog, database = Watchdog(3600, told.append), Database(AWAY, FULL)
    dog.stop()
    assert await dog.retry(database) == "answer"
    assert (dog.stopping, told) == (True, [])


async def test_a_full_disk_is_waited_for_and_said_once(told, caplog):
    caplog.set_level(logging.WARNING)
    database, dog = Database(FULL, FULL, FULL), Watchdog(0, told.append)
    assert await dog.ask(database) == "answer"
    assert told == []
    assert caplog.text.count("kept in memory") == 1
    assert "has room again" in caplog.text


async def test_other_errors_are_the_callers():
    with pytest.raises(ZeroDivisionError):
        await Watchdog().ask(Database(ZeroDivisionError()))
