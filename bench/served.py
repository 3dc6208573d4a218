"""An ASGI app under uvicorn in a process of its own, and databases for it to stand on."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
from psycopg import sql

from app.storage.embedded import EmbeddedPostgres

START_S = 60.0
STOP_S = 30.0


@contextmanager
def served(target: str, *, path: str = "/readyz", **environment: str) -> Iterator[str]:
    """The URL of the app that uvicorn finds at `target`, once `path` answers."""
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", target, "--port", str(port), "--no-access-log"]
    quiet = [*command, "--log-level", "warning"]
    process = subprocess.Popen(quiet, env=os.environ | environment, stdout=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(process, url + path)
        yield url
    finally:
        process.terminate()
        process.wait(STOP_S)


@contextmanager
def databases(*names: str) -> Iterator[list[str]]:
    """The URLs of empty databases of these names, on one server of their own."""
    with tempfile.TemporaryDirectory(prefix="trainwatt-bench-") as folder:
        data_dir = Path(folder)
        data_dir.chmod(0o755)  # started by root, the database runs as another user
        server = EmbeddedPostgres(data_dir)
        server.start()
        try:
            with psycopg.connect(server.url, autocommit=True) as connection:
                for name in names:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            yield [server.url.replace("@/postgres?", f"@/{name}?") for name in names]
        finally:
            server.remove()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            if httpx.get(url, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"nothing answers at {url} (exit code {process.poll()})")
