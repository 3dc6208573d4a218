"""One socket that freezes or is shut in the middle of a run, and a GPU that shows power alone."""

import pytest

from tests.simulated.traces import square, steady
from tests.truth.runs import TOLERANCE

SOCKET, GPU = 0, 1


def _lay(sensors):
    sensors.add("rapl", square(20, 120, 0.5))
    sensors.add("gpu_power", steady(150))


@pytest.fixture(scope="module")
def one_socket(host):
    with host(_lay) as made:
        yield made


@pytest.fixture(scope="module")
def whole(one_socket):
    return one_socket.undisturbed(epochs=2)


def test_the_total_of_a_component_is_within_half_a_percent_of_the_truth(whole):
    assert abs(whole.component_error("cpu", (SOCKET,))) <= TOLERANCE
    assert abs(whole.component_error("gpu", (GPU,))) <= TOLERANCE
    assert whole.report["energy"]["gpu"]["source"] == "codecarbon gpu power samples"


def test_every_phase_is_within_half_a_percent(whole):
    errors = whole.phase_errors((SOCKET, GPU))
    assert {"epoch 0", "epoch 1"} <= set(errors)
    assert max(map(abs, errors.values())) <= TOLERANCE, errors
    assert max(whole.outside_of_clock((SOCKET, GPU)).values()) <= TOLERANCE


def test_a_socket_that_is_reset_on_the_way_is_told_and_uses_up_no_limit(one_socket, whole):
    run = one_socket.run(
        lambda: one_socket.sensors.set_counter(SOCKET, 0),
        epochs=10_000,
        limits={"timeout_s": 12, "energy_j": 20_000},  # a whole range is 262 kJ
    )
    cpu = run.report["energy"]["cpu"]
    assert (cpu["method"], cpu["energy_j"]) == ("unavailable", None)
    assert "counter_jumped" in run.codes()
    assert "counter_wrapped" not in run.codes()
    assert abs(run.component_error("gpu", (GPU,))) <= TOLERANCE


@pytest.mark.parametrize("fault", ["frozen", "denied"])
def test_a_socket_that_is_lost_on_the_way_is_told_and_not_estimated(one_socket, whole, fault):
    run = one_socket.broken(lambda: one_socket.sensors.break_(SOCKET, fault))
    energy = run.report["energy"]
    assert (energy["cpu"]["method"], energy["cpu"]["energy_j"]) == ("unavailable", None)
    assert energy["cpu"]["reason"]
    assert energy["cpu"]["models"] == {}
    assert energy["complete"] is False
    assert run.codes() & {"counter_stopped", "counter_lost"}
    assert abs(run.component_error("gpu", (GPU,))) <= TOLERANCE  # the other one is not touched
