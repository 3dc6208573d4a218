"""When the service is ready."""

import asyncio

from app.domain.errors import UnavailableError
from app.service import Service, state
from app.settings import Settings


class DeadStore:
    """A database that does not answer."""

    async def ping(self):
        raise UnavailableError("The database does not answer.")


class HungStore:
    """A database that takes the question and says nothing."""

    async def ping(self):
        await asyncio.Event().wait()


async def test_a_database_that_hangs_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(state, "READY_S", 0.01)
    assert "has not answered" in (await Service(HungStore(), Settings()).unready())[0]


async def test_without_a_database_nothing_is_ready():
    assert await Service(DeadStore(), Settings()).unready() == ("The database does not answer.",)
