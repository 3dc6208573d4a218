"""Counters that may not be read from the start: all of them, or one of two."""

import pytest

from tests.simulated.traces import steady
from tests.truth.runs import TOLERANCE

GPU = 2


def _lay(*denied):
    def lay(sensors):
        sensors.add("rapl", steady(60))
        sensors.add("rapl", steady(35), start_uj=900_000_000)
        sensors.add("gpu", steady(150))
        for number in denied:
            sensors.break_(number, "denied")

    return lay


@pytest.mark.parametrize(("denied", "named"), [((0, 1), "intel-rapl:0"), ((1,), "intel-rapl:1")])
def test_a_socket_that_may_not_be_read_is_told_with_the_cure(host, denied, named):
    with host(_lay(*denied)) as made:
        run = made.run(size="tiny", epochs=1)
    cpu = run.report["energy"]["cpu"]
    assert (cpu["method"], cpu["energy_j"], cpu["models"]) == ("unavailable", None, {})
    assert named in cpu["reason"]
    assert "chmod" in cpu["reason"]
    assert "cpu_unavailable" in run.codes()
    assert run.report["energy"]["complete"] is False
    assert abs(run.component_error("gpu", (GPU,))) <= TOLERANCE
