"""Two sockets, of which one wraps every few seconds, and a GPU with a counter.

What is asserted and why it is no circle stands in `tests/truth/runs.py`.
"""

from itertools import pairwise

import pytest

from tests.simulated.sensors import reads
from tests.simulated.traces import bursts, ramp, square, steady
from tests.truth.runs import TOLERANCE

FIRST, SECOND, GPU = 0, 1, 2
SOCKETS, ALL = (FIRST, SECOND), (FIRST, SECOND, GPU)
RANGE_UJ = 150_000_000  # 150 J: it begins anew every two seconds
RUNS = ["steady_square_ramp", "ramp_bursts_square"]


def _lay(sensors):
    sensors.add("rapl", steady(60))
    sensors.add("rapl", square(20, 120, 0.5), start_uj=RANGE_UJ - 9_000_000, range_uj=RANGE_UJ)
    sensors.add("gpu", ramp(50, 300, 7.0), start_uj=77_000_000_000)


@pytest.fixture(scope="module")
def two_sockets(host):
    with host(_lay) as made:
        yield made


@pytest.fixture(scope="module")
def steady_square_ramp(two_sockets):
    return two_sockets.undisturbed(epochs=9)  # long enough for two turns, however fast the host


@pytest.fixture(scope="module")
def ramp_bursts_square(two_sockets, steady_square_ramp):
    two_sockets.sensors.draw(
        s0=ramp(10, 150, 3.0),
        s1=bursts(15, 200, every_s=0.7, burst_s=0.05),
        s2=square(80, 250, 1.1),
    )
    return two_sockets.undisturbed()


@pytest.fixture(params=RUNS)
def run(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize(("component", "numbers"), [("cpu", SOCKETS), ("gpu", (GPU,))])
def test_the_total_of_a_component_is_within_half_a_percent_of_the_truth(run, component, numbers):
    assert run.report["energy"][component]["method"] == "measured"
    assert abs(run.component_error(component, numbers)) <= TOLERANCE


def test_every_phase_is_within_half_a_percent_between_its_own_boundaries(run):
    errors = run.phase_errors(ALL)
    assert {"setup None", "epoch 0", "epoch 1", "epoch 2"} <= set(errors)
    assert max(map(abs, errors.values())) <= TOLERANCE, errors


def test_every_phase_holds_what_was_drawn_by_the_trainings_own_clock(run):
    beyond = run.outside_of_clock(ALL)
    assert {"epoch 0", "epoch 1", "epoch 2"} <= set(beyond)
    assert max(beyond.values()) <= TOLERANCE, beyond


def test_the_phases_add_up_to_the_total(run):
    phases_j = sum(phase["energy_j"] for phase in run.report["phases"])
    assert phases_j == pytest.approx(run.report["energy"]["total_j"], rel=1e-6)


def test_the_second_socket_began_anew_more_than_once_on_the_way(steady_square_ramp):
    run = steady_square_ramp
    shown = [v for at_s, v in reads(run.sensors.folder, SECOND) if run.zero_s <= at_s <= run.end_s]
    assert sum(two < one for one, two in pairwise(shown)) > 1


@pytest.fixture(scope="module")
def broken(two_sockets, ramp_bursts_square):
    """One of the sockets freezes and the GPU stops answering, in the middle of a run."""
    sensors = two_sockets.sensors

    def break_():
        sensors.break_(SECOND, "frozen")
        sensors.break_(GPU, "denied")

    return two_sockets.broken(break_)


def test_one_socket_that_freezes_leaves_no_figure_of_the_cpu(broken):
    cpu = broken.report["energy"]["cpu"]
    assert (cpu["method"], cpu["energy_j"], cpu["low_j"]) == ("unavailable", None, None)
    assert "package-1" in cpu["reason"]
    assert "counter_stopped" in broken.codes()


def test_a_gpu_that_stops_answering_leaves_no_figure_of_it(broken):
    gpu = broken.report["energy"]["gpu"]
    assert (gpu["method"], gpu["energy_j"], gpu["low_j"]) == ("unavailable", None, None)
    assert "GPU 0" in gpu["reason"]


def test_a_total_without_its_sensors_says_that_it_is_not_complete(broken):
    energy = broken.report["energy"]
    assert energy["complete"] is False
    assert energy["total_j"] == energy["ram"]["energy_j"]
    assert broken.report["trust"]["grade"] in "EF"


def test_the_run_after_a_fault_is_right_again(two_sockets, broken):
    run = two_sockets.run(epochs=1)
    assert abs(run.component_error("cpu", SOCKETS)) <= TOLERANCE
    assert abs(run.component_error("gpu", (GPU,))) <= TOLERANCE
