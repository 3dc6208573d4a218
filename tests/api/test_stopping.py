"""The end of a server with open streams and waiting requests, in a process of its own."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from app.api.stopping import Stopping

SPEC = {"model_type": "cnn", "size": "tiny", "epochs": 1}
LONG_S = 30.0
TRAINWATT = ("app.cli", "api")
UVICORN = ("uvicorn", "app.main:app", "--log-level=warning")


def test_who_waits_is_woken_once_and_forgotten_after():
    stopping, woken = Stopping(), []
    with stopping.wakes(lambda: woken.append("a")), stopping.wakes(lambda: woken.append("b")):
        pass
    with stopping.wakes(lambda: woken.append("c")):
        assert not stopping.begun
        stopping.begin()
    assert (stopping.begun, woken) == (True, ["c"])


async def test_the_servers_own_handlers_are_called_and_put_back():
    heard = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def server(number, _frame):
        heard.append(number)

    for number in before:
        signal.signal(number, server)
    try:
        stopping, woken = Stopping(), threading.Event()
        with stopping.on_signals(), stopping.wakes(woken.set):
            signal.raise_signal(signal.SIGTERM)
            assert heard == [signal.SIGTERM]
            while not woken.is_set():
                await asyncio.sleep(0.001)
            signal.raise_signal(signal.SIGINT)
        assert heard == [signal.SIGTERM, signal.SIGINT]
        assert all(signal.getsignal(number) is server for number in before)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def test_a_signal_that_nobody_handles_is_left_alone():
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with Stopping().on_signals():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.fixture(params=[TRAINWATT, UVICORN], ids=["trainwatt", "uvicorn"])
def server(request, database_url, tmp_path):
    """An API process on the test's database, and a client of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    settings = {"TRAINWATT_DATABASE_URL": database_url, "TRAINWATT_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", *request.param, "--port", port]
    process = subprocess.Popen(command, env=os.environ | settings, stdout=subprocess.DEVNULL)
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=LONG_S
        ) as client:
            _until_ready(process, client)
            yield process, client
    finally:
        process.kill()
        process.wait()


def _until_ready(process, client):
    while True:
        assert process.poll() is None
        try:
            client.get("/readyz").raise_for_status()
            return
        except (httpx.TransportError, httpx.HTTPStatusError):
            time.sleep(0.05)


@contextmanager
def _killed_at_last(process):
    """So that whoever still reads from it ends too."""
    try:
        yield
    finally:
        process.kill()


def _read(client, path, begun):
    """A stream to its end: one that is cut off raises instead."""
    with client.stream("GET", path) as answer:
        text = ""
        for piece in answer.iter_text():
            text += piece
            if "event: status" in text:
                begun.release()
    return text


def test_open_streams_and_waiting_requests_end_with_the_signal(server):
    """They end in order, each with a whole answer; a server that waited would cut them or hang."""
    process, client = server
    job = client.post("/v1/jobs", json=SPEC).json()
    begun = threading.Semaphore(0)
    with ThreadPoolExecutor(5) as pool, _killed_at_last(process):
        streams = [pool.submit(_read, client, job["links"]["events"], begun) for _ in range(3)]
        waiting = pool.submit(client.post, "/v1/jobs?wait=300", json=SPEC)
        for _ in streams:
            assert begun.acquire(timeout=LONG_S)
        while len(client.get("/v1/jobs").json()["items"]) < 2:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert all('"status":"queued"' in stream.result(LONG_S) for stream in streams)
        answer = waiting.result(LONG_S)
        process.wait(LONG_S)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
