"""For the tests of this room: a warm fork server, a meter of flat power, a load by decree."""

import os
import subprocess
import sys
import time

import pytest

from app.domain.readings import ComponentFacts, MeterFacts, Method
from app.metering.counters import CpuSeconds
from app.metering.meter import Energies
from app.worker import process


@pytest.fixture(scope="session")
def fork_server():
    process.start_fork_server()
    process.warm_up()
    return process.fork_server_pid()


class FlatMeter:
    """A meter of 100 W CPU and 20 W RAM; `broken` makes the next reading raise."""

    def __init__(self):
        self.facts = MeterFacts(
            cpu=ComponentFacts(method=Method.MEASURED, source="a flat 100 W"),
            gpu=ComponentFacts(method=Method.ABSENT),
            ram=ComponentFacts(method=Method.ASSUMED, source="a flat 20 W", constant_w=20.0),
            codecarbon="0",
        )
        self.broken = None

    def read(self):
        if self.broken:
            raise self.broken
        now_s = time.monotonic()
        return Energies(cpu_j=100 * now_s, gpu_j=None, ram_j=20 * now_s)

    def close(self):
        pass


@pytest.fixture
def meter():
    return FlatMeter()


class Load:
    """Counters of a host of two CPUs, of which others and the service use the shares given here."""

    def __init__(self):
        self.others = self.service = 0.0
        self._others_s, self._service_s, self._since_s = 7.0, 3.0, time.monotonic()

    def use(self, *, others=0.0, service=0.0):
        self.read(None)
        self.others, self.service = others, service

    def read(self, job):
        now_s = time.monotonic()
        passed_s, self._since_s = now_s - self._since_s, now_s
        self._others_s += 2 * self.others * passed_s
        self._service_s += 2 * self.service * passed_s
        return CpuSeconds(
            host_busy_s=self._others_s + self._service_s,
            host_steal_s=0.0,
            job_cpu_s=None,
            service_cpu_s=self._service_s,
            instrument_cpu_s=0.0,
        )


@pytest.fixture
def load():
    return Load()


@pytest.fixture
def start(tmp_path):
    """Starts workers as processes of their own; what they say is in `said` of the test's folder."""
    started = []

    def begin(url, **settings):
        given = {
            "TRAINWATT_DATABASE_URL": url,
            "TRAINWATT_DATA_DIR": str(tmp_path),
            "TRAINWATT_HOST_NAME": "here",
            "TRAINWATT_HOST_LOCK": str(tmp_path / "lock"),
            "TRAINWATT_QUIET_WAIT_S": "0",  # other tests are no quiet neighbours
            **settings,
        }
        with (tmp_path / "said").open("ab") as said:
            worker = subprocess.Popen(
                [sys.executable, "-m", "app.worker"], env=os.environ | given, stderr=said
            )
        started.append(worker)
        return worker

    yield begin
    for worker in started:
        worker.kill()
        worker.wait()
