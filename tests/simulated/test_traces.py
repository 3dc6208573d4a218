"""The exact integral against a sum over fine steps, which knows nothing of pieces."""

import json
import math

import pytest

from tests.simulated.traces import Trace, bursts, from_json, ramp, square, steady

STEP_S = 0.0005
WAVES = {
    "steady": steady(50),
    "square": square(20, 120, 0.5),
    "ramp": ramp(10, 150, 3.0),
    "bursts": bursts(15, 200, every_s=0.7, burst_s=0.05),
}
MEANS_W = {"steady": 50, "square": 70, "ramp": 80, "bursts": 15 + 185 * 0.05 / 0.7}


def _summed_j(power_w, from_s, to_s):
    steps = round((to_s - from_s) / STEP_S)
    return math.fsum(power_w(from_s + (n + 0.5) * STEP_S) * STEP_S for n in range(steps))


@pytest.mark.parametrize("name", WAVES)
def test_the_integral_is_the_sum_of_the_power(name):
    trace = Trace(((100.0, WAVES[name]),))
    for from_s, to_s in ((100.0, 100.3), (101.13, 101.77), (100.0, 107.0), (105.2, 111.9)):
        summed_j = _summed_j(trace.power_w, from_s, to_s)
        assert trace.between_j(from_s, to_s) == pytest.approx(summed_j, rel=2e-3)


@pytest.mark.parametrize("name", WAVES)
def test_whole_rounds_have_the_mean_power(name):
    wave = WAVES[name]
    mean_w = wave.energy_j(5 * wave.period_s) / (5 * wave.period_s)
    assert mean_w == pytest.approx(MEANS_W[name])


def test_a_wave_follows_another_without_a_step_in_energy():
    trace = Trace(((10.0, steady(50)), (12.0, square(20, 120, 0.5)), (13.0, steady(7))))
    assert trace.energy_j(9.0) == 0
    assert trace.energy_j(12.0) == pytest.approx(100)
    assert trace.energy_j(13.0) == pytest.approx(170)
    assert trace.energy_j(14.0) == pytest.approx(177)
    assert [trace.power_w(t) for t in (9.0, 11.0, 12.1, 12.3, 20.0)] == [0, 50, 20, 120, 7]


def test_a_trace_survives_its_file():
    trace = Trace(((10.0, WAVES["bursts"]), (12.5, WAVES["ramp"])))
    assert from_json(json.loads(json.dumps(trace.to_json()))) == trace
