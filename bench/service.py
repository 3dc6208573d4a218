"""A whole service of its own for a bench: `trainwatt serve` in a new folder, on a free port."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from app.ownership import owner

START_S = 120.0
STOP_S = 30.0


@dataclass(frozen=True)
class Service:
    """A running service: its HTTP client and its supervisor's process."""

    http: httpx.Client
    supervisor: psutil.Process
    data_dir: Path

    def submit(self, **fields: object) -> str:
        """Submit a job; its id."""
        answer = self.http.post("/v1/jobs", json=fields)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, object]:
        """The job as HTTP shows it."""
        body: dict[str, object] = self.http.get(f"/v1/jobs/{job_id}").raise_for_status().json()
        return body

    def wait(self, job_id: str, poll_s: float = 0.02) -> dict[str, object]:
        """The job once it is final."""
        while (job := self.job(job_id))["status"] in {"queued", "running"}:
            time.sleep(poll_s)
        return job


@contextmanager
def service(**settings: str) -> Iterator[Service]:
    """Start with further settings, wait until it is ready, and stop."""
    with tempfile.TemporaryDirectory(prefix="trainwatt-bench-") as folder:
        data_dir = Path(folder)
        data_dir.chmod(0o755)  # started by root, the database runs as another user
        ours = {
            "TRAINWATT_DATA_DIR": folder,
            "TRAINWATT_PORT": "0",
            "TRAINWATT_QUIET_WAIT_S": "0",  # a bench disturbs itself, and waits for nobody
        }
        environment = os.environ | ours | settings
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve"], env=environment, stdout=subprocess.DEVNULL
        )
        try:
            url = _ready_url(process, data_dir)
            with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
                yield Service(client, psutil.Process(process.pid), data_dir)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_S)


def _ready_url(process: subprocess.Popen[bytes], data_dir: Path) -> str:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        here = owner(data_dir)
        if here is not None and _ready(here.url):
            return here.url
        time.sleep(0.1)
    raise RuntimeError(f"the service is not ready (exit code {process.poll()})")


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False).is_success
    except httpx.TransportError:
        return False
