"""A whole service of its own: `trainwatt serve` as a process, with its embedded database."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from app.ownership import owner

START_S, END_S = 120.0, 60.0


class Service:
    """The running service as a user has it, and its processes as the kernel has them."""

    def __init__(self, process, url, data_dir):
        self.supervisor = psutil.Process(process.pid)
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=30)
        self.data_dir = data_dir

    def printed(self):
        """What `serve` prints once it is ready itself, which it notices a moment after us."""
        deadline_s = time.monotonic() + START_S
        while "Data and logs" not in (text := (self.data_dir / "printed").read_text()):
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        return text

    def submit(self, **fields):
        answer = self.http.post("/v1/jobs", json=fields)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def job(self, job_id):
        return self.http.get(f"/v1/jobs/{job_id}").raise_for_status().json()

    def until(self, job_id, done):
        deadline_s = time.monotonic() + END_S
        while not done(job := self.job(job_id)):
            assert time.monotonic() < deadline_s, job
            time.sleep(0.05)
        return job

    def report(self, job_id):
        return self.http.get(f"/v1/jobs/{job_id}/report").raise_for_status().json()

    def worker(self):
        return self.part("app.worker")

    def part(self, word):
        """The child of the supervisor that has this name, or this word in its command line."""
        children = self.supervisor.children()
        (found,) = [p for p in children if word == p.name() or word in p.cmdline()]
        return found


@pytest.fixture(scope="module")
def service(serving):
    with serving() as running:
        yield running


@pytest.fixture(scope="session")
def serving():
    """A context manager of a service with further settings."""
    return run_service


@contextmanager
def run_service(**settings):
    """A service with further settings; what it prints is in `data_dir / "printed"`."""
    with tempfile.TemporaryDirectory(prefix="trainwatt-test-") as folder:
        data_dir = Path(folder)
        data_dir.chmod(0o755)  # started by root, the database runs as another user
        given = {
            "TRAINWATT_DATA_DIR": folder,
            "TRAINWATT_PORT": "0",
            "TRAINWATT_HOST_LOCK": str(data_dir / "host.lock"),
            "TRAINWATT_SWEEP_INTERVAL_S": "0.5",
            "TRAINWATT_QUIET_WAIT_S": "0",  # other tests are no quiet neighbours
            **settings,
        }
        with (data_dir / "printed").open("wb") as printed:
            process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "serve"], env=os.environ | given, stdout=printed
            )
        try:
            running = Service(process, wait_until_ready(process, data_dir), data_dir)
            with running.http:
                yield running
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(END_S) == 0


def wait_until_ready(process, data_dir):
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        assert process.poll() is None
        here = owner(data_dir)
        if here and answers(here.url):
            return here.url
        time.sleep(0.1)
    raise AssertionError("the service does not become ready")


def answers(url):
    try:
        return httpx.get(f"{url}/readyz", trust_env=False).is_success
    except httpx.TransportError:
        return False
