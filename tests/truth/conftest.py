"""Hosts with simulated sensors: the real worker as a process, the real API over real HTTP."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from app.bootstrap import make_api
from app.settings import Settings
from tests.conftest import TEMPLATE, named
from tests.simulated.sensors import MARKS, Sensors
from tests.truth.runs import Run, run_of

ROOT = Path(__file__).parents[2]
START_S, END_S = 120.0, 120.0
TRIES, DISTURBED_S = 3, 0.005
BROKEN_S = 5.0  # more than the two of a counter at a standstill, on a busy machine too
SPEC = {
    "model_type": "cnn",
    "size": "base",
    "epochs": 3,
    "dataset": {"name": "mnist5k"},
    "carbon": {"country_iso_code": "FRA"},
}


class Host:
    """A worker whose host has simulated sensors, and the service that it works for."""

    def __init__(self, sensors: Sensors, http: httpx.Client, worker: subprocess.Popen):
        self.sensors, self.http, self._worker = sensors, http, worker

    def get(self, path: str):
        return self.http.get(path).raise_for_status().json()

    def broken(self, break_: Callable[[], None]) -> Run:
        """A job in which something breaks once it trains, cut some seconds after; then mended."""
        run = self.run(break_, cut_s=BROKEN_S, epochs=10_000)
        self.sensors.mend()
        return run

    def run(
        self, midway: Callable[[], None] | None = None, cut_s: float | None = None, **fields
    ) -> Run:
        """One job to its end; `midway` is called once, when it trains, and it is cut after that."""
        answer = self.http.post("/v1/jobs", json=SPEC | fields)
        assert answer.status_code == 202, answer.text
        job_id = answer.json()["id"]
        deadline_s = time.monotonic() + END_S
        while (job := self.get(f"/v1/jobs/{job_id}"))["status"] in {"queued", "running"}:
            self.check(deadline_s)
            if midway and job["stage"] == "training":
                midway()
                midway = None
                if cut_s is not None:
                    time.sleep(cut_s)
                    self.http.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()
            time.sleep(0.05)
        cut = "timed_out" if "limits" in fields else "cancelled" if cut_s else "succeeded"
        assert job["status"] == cut, job
        assert midway is None, "the job ended before it was seen to train"
        report = self.get(f"/v1/jobs/{job_id}/report")
        record = self.get(f"/v1/jobs/{job_id}/readings")
        return run_of(report, record, self.sensors, self.sensors.folder / MARKS)

    def undisturbed(self, **fields) -> Run:
        """One job; again where the machine was so busy that a boundary took unusually long.

        What a reading of several milliseconds does to a phase of 0.3 s is a property of a busy
        machine, and the report says so. After some tries the last one is taken as it is.
        """
        for _ in range(TRIES):
            run = self.run(**fields)
            if run.slowest_boundary_s() < DISTURBED_S:
                break
        return run

    def until_ready(self) -> None:
        deadline_s = time.monotonic() + START_S
        while not any(host["ready"] for host in self.get("/v1/hosts")["items"]):
            self.check(deadline_s)
            time.sleep(0.05)

    def check(self, deadline_s: float) -> None:
        """That the worker lives, and that the time is not over."""
        said = (self.sensors.folder / "said").read_text
        assert self._worker.poll() is None, said()
        assert time.monotonic() < deadline_s, said()


@pytest.fixture(scope="module")
def host(postgres, serving, tmp_path_factory):
    """Makes a host: given what lays its sensors, a context manager of a `Host`."""

    @contextlib.contextmanager
    def make(lay: Callable[[Sensors], None]) -> Iterator[Host]:
        folder = tmp_path_factory.mktemp("simulated")
        sensors = Sensors(folder)
        lay(sensors)
        with _database(postgres, folder.name) as url, _worker(folder, url) as worker:
            settings = Settings(database_url=url, data_dir=folder)
            with (
                serving(make_api(settings)) as base_url,
                httpx.Client(base_url=base_url, trust_env=False, timeout=30) as http,
            ):
                made = Host(sensors, http, worker)
                made.until_ready()
                yield made

    return make


@contextlib.contextmanager
def _database(postgres, folder_name: str) -> Iterator[str]:
    name = f"truth_{folder_name}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        try:
            yield named(postgres, name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def _worker(folder: Path, url: str) -> Iterator[subprocess.Popen]:
    given = {
        "TRAINWATT_DATABASE_URL": url,
        "TRAINWATT_DATA_DIR": str(folder),
        "TRAINWATT_HOST_LOCK": str(folder / "host.lock"),
        "TRAINWATT_HOST_NAME": "simulated",
        "TRAINWATT_QUIET_WAIT_S": "0",
    }
    with (folder / "said").open("wb") as said:
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.simulated", str(folder)],
            cwd=ROOT,
            env=os.environ | given,
            stderr=said,
        )
    try:
        yield worker
    finally:
        worker.terminate()
        try:
            worker.wait(30)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
            raise
