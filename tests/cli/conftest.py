"""A real API without a worker, and the command line as real processes that speak to it."""

import itertools
import os
import subprocess
import sys

import psycopg
import pytest

from app.bootstrap import make_api
from app.settings import Settings

END_S = 600.0
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def api_url(postgres, tmp_path_factory, serving):
    """The URL of an API on a database of the module's own."""
    name = f"cli_{next(_numbers)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = postgres.url.replace("@/postgres?", f"@/{name}?")
    app = make_api(Settings(database_url=url, data_dir=tmp_path_factory.mktemp("api")))
    with serving(app) as served:
        yield served


@pytest.fixture
def trainwatt(api_url):
    """Runs one command to its end against the API."""

    def run(*arguments, **given):
        environment = {
            "TRAINWATT_URL": api_url,
            "TRAINWATT_QUIET_WAIT_S": "0",  # other tests are no quiet neighbours
            **given.pop("environment", {}),
        }
        return subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=END_S,
            check=False,
            **given,
        )

    return run
