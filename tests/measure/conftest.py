"""A meter of known power in the place of the host's, and a process that nothing else measures."""

import time

import pytest

from app.domain.readings import ComponentFacts, MeterFacts, Method
from app.measure import run as run_module
from app.metering.meter import Energies

CPU = ComponentFacts(method=Method.MEASURED, source="codecarbon intel_rapl")
ABSENT = ComponentFacts(method=Method.ABSENT)


class SteadyMeter:
    """100 W of the CPU; `fails` is raised by readings while it is set."""

    def __init__(self):
        self.facts = MeterFacts(cpu=CPU, gpu=ABSENT, ram=ABSENT, codecarbon="3.3.2")
        self.fails = None
        self.closed = False

    def read(self):
        if self.fails is not None:
            raise self.fails
        return Energies(cpu_j=100 * time.monotonic(), gpu_j=None, ram_j=None)

    def close(self):
        self.closed = True


@pytest.fixture
def meter():
    return SteadyMeter()


@pytest.fixture
def steady(meter, monkeypatch, tmp_path):
    """Measurements are made with the steady meter, and look for no service."""
    monkeypatch.setattr(run_module, "CodecarbonMeter", lambda: meter)
    monkeypatch.setenv("TRAINWATT_HOST_LOCK", str(tmp_path / "host.lock"))
    monkeypatch.setenv("TRAINWATT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TRAINWATT_URL", "http://127.0.0.1:9")
    monkeypatch.delenv("TRAINWATT_COUNTRY_ISO_CODE", raising=False)
    return meter
