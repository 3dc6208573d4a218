"""When the service is ready."""

from app.domain.errors import UnavailableError
from app.service import Service
from app.settings import Settings


class DeadStore:
    """A database that does not answer."""

    async def ping(self):
        raise UnavailableError("The database does not answer.")


async def test_without_a_database_nothing_is_ready():
    assert await Service(DeadStore(), Settings()).unready() == ("The database does not answer.",)
