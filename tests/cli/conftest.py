"""A real API without a worker, and the command line as real processes that speak to it."""

import itertools
import os
import socket
import subprocess
import sys
import threading
import time

import psycopg
import pytest
import uvicorn

from app.bootstrap import make_api
from app.settings import Settings

END_S = 600.0
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def api_url(postgres, tmp_path_factory):
    """The URL of an API on a database of the module's own."""
    name = f"cli_{next(_numbers)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = postgres.url.replace("@/postgres?", f"@/{name}?")
    app = make_api(Settings(database_url=url, data_dir=tmp_path_factory.mktemp("api")))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def trainwatt(api_url):
    """Runs one command to its end against the API."""

    def run(*arguments, **given):
        environment = {"TRAINWATT_URL": api_url, **given.pop("environment", {})}
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
