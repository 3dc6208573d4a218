"""Planted loads of known CPU time beside a job: that of others is told, and the service's apart.

The truth is the load's own account of its CPU time, and for whatever else runs on the machine the
kernel's account of every process (`tests/simulated/others.py`), over the run's own window.
"""

import pytest

from tests.end_to_end.conftest import run_service
from tests.simulated.beside import beside

TOLERANCE = 0.10  # of the truth
FLOOR = 0.005  # of the host: processes are counted in ticks of 10 ms
RATE_HZ = 200
SPEC = {"model_type": "cnn", "size": "base", "epochs": 5, "dataset": {"name": "mnist5k"}}


@pytest.fixture(scope="module")
def service():
    with run_service(TRAINWATT_QUIET_WAIT_S="0") as running:
        yield running


def _near(told, truth):
    return told == pytest.approx(truth, rel=TOLERANCE, abs=FLOOR)


def test_the_load_of_another_program_is_told_and_lowers_the_grade(service):
    run = beside(service.http, service.supervisor.pid, SPEC, "burn", 0.5)
    assert run.load_share > 0.05, run
    assert _near(run.trust["contention_share"], run.others_share), run
    assert "contention" in run.codes
    assert run.trust["grade"] >= "D"


def test_the_load_of_the_service_itself_is_told_apart_from_others(service):
    base, supervisor = service.http.base_url, service.supervisor.pid
    words = ("ask", base.host, base.port, "/v1/jobs", RATE_HZ)
    run = beside(service.http, supervisor, SPEC, *words)
    assert run.service_share > 0.05, run
    assert _near(run.trust["contention_share"], run.others_share), run
    assert _near(run.trust["service_share"], run.service_share), run
    assert "service_busy" in run.codes
