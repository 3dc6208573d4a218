"""The real API on a real database over real HTTP."""

import pytest

from app.bootstrap import make_api
from app.client import Client
from app.settings import Settings


@pytest.fixture
def url(database_url, tmp_path, serving):
    """Where it answers; two jobs may wait."""
    settings = Settings(database_url=database_url, data_dir=tmp_path, max_queued_jobs=2)
    with serving(make_api(settings)) as served:
        yield served


@pytest.fixture
def client(url):
    with Client(url) as opened:
        yield opened
