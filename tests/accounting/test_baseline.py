"""Idle power of a run and of a host, and what lies above it with its interval."""

import pytest

from app.accounting.assumptions import SETS
from app.accounting.baseline import NO_BASELINE, of_host
from app.domain.readings import KnownFacts, Method

RAPL = {"method": "measured", "source": "codecarbon intel_rapl"}
NVML = {"method": "measured", "source": "codecarbon gpu energy counter"}


def test_a_sensors_window_is_the_baseline_of_a_run(measured, evaluate, idle):
    window = idle(cpu_w=20.0)
    energy = evaluate(measured(idle=window)).energy
    baseline = energy.baseline
    assert (baseline.method, baseline.power_w) == (Method.MEASURED, 20.0)
    assert baseline.energy_j == pytest.approx(1200.0)
    assert (baseline.window_s, baseline.taken_at) == (60.0, window.taken_at)
    # (50 − 20) W × 60 s; total and baseline are off by the same factor, 5 % of Intel's RAPL
    assert energy.net_j == pytest.approx(1800.0)
    assert (energy.net_low_j, energy.net_high_j) == pytest.approx((1710.0, 1890.0))


def test_a_flat_ram_is_in_both_and_cancels(make):
    meter = make.meter(cpu=make.component(**RAPL))
    readings = make.measured(meter=meter)
    readings = make.changed(readings, lambda r: {"ram_j": 20 * r.t_s})
    energy = make.evaluate(readings).energy
    assert energy.baseline.method is Method.MEASURED
    assert energy.baseline.power_w == pytest.approx(40.0)
    assert energy.net_j == pytest.approx(1800.0)
    assert energy.net_high_j == pytest.approx(1890.0)


def test_less_than_idle_is_nothing_and_not_below(measured, evaluate, idle):
    energy = evaluate(measured(idle=idle(cpu_w=80.0))).energy
    assert (energy.net_j, energy.net_low_j, energy.net_high_j) == (0.0, 0.0, 0.0)


def test_a_sensor_without_an_idle_figure_has_no_net(measured, evaluate, idle):
    energy = evaluate(measured(idle=idle(cpu_w=None))).energy
    assert energy.baseline == NO_BASELINE
    assert (energy.net_j, energy.net_low_j, energy.net_high_j) == (None, None, None)


def test_on_a_modelled_host_each_models_own_idle_is_taken_from_it(attempt, evaluate):
    energy = evaluate(attempt(load=0.5, cpu_w=1.7)).energy
    # codecarbon: 8 W × 0.9 × 0.5³ for 20 s; the range from it to Green Algorithms' 12 W, which
    # has no idle power; SPECpower's is cut at 0 W when idle
    assert energy.net_j == pytest.approx(8 * 0.9 * 0.125 * 20)
    low_w = 2 * ((0.28 + 1.26) / 2 / 1.33 - 0.3528)
    assert energy.net_low_j == pytest.approx(low_w * 20)
    assert energy.net_high_j == pytest.approx(12 * 20)
    assert energy.baseline.window_s is None


def test_without_a_load_net_goes_from_nothing_to_full(attempt, evaluate):
    energy = evaluate(attempt(load=None)).energy
    assert (energy.net_low_j, energy.net_high_j) == (0.0, pytest.approx(24 * 20))


def test_the_baseline_and_the_net_follow_the_set(attempt, evaluate):
    energy = evaluate(attempt(), assumptions=SETS["specpower"]).energy
    ram_w = 0.392 * 24 * 2**30 / 1e9
    assert energy.baseline.method is Method.ESTIMATED
    idle_w = 2 * (0.28 / 1.33 - 0.9 * 0.10)  # idle RAM is taken off
    assert energy.baseline.power_w == pytest.approx(ram_w + idle_w)
    assert energy.net_j == pytest.approx((2 * (1.53 / 1.33 - 0.3528) - idle_w) * 20)
    assert energy.net_low_j <= energy.net_j <= energy.net_high_j


def test_a_host_without_sensors_has_its_models_idle_power(host, meter):
    found = of_host(host(), meter(), None)
    assert (found.power_w, found.energy_j) == (pytest.approx(20.8), None)
    assert (found.method, found.window_s) == (Method.ASSUMED, None)


def test_a_host_with_sensors_has_its_window(host, meter, component, idle):
    facts = meter(cpu=component(**RAPL), gpu=component(**NVML))
    window = idle(cpu_w=20.0, gpu_w=60.0)
    found = of_host(host(), facts, window)
    assert (found.power_w, found.method) == (pytest.approx(100.0), Method.MEASURED)
    assert (found.window_s, found.taken_at) == (60.0, window.taken_at)
    assert of_host(host(), facts, None) == NO_BASELINE
    assert of_host(host(), facts, idle(gpu_w=None)) == NO_BASELINE


def test_a_modelled_cpu_beside_a_measured_gpu_is_not_called_measured(host, meter, component, idle):
    found = of_host(host(), meter(gpu=component(**NVML)), idle(gpu_w=60.0))
    assert (found.power_w, found.method) == (pytest.approx(80.8), Method.ASSUMED)
    assert found.window_s == 60.0


def test_what_cannot_be_read_or_is_not_there_is_not_in_it(host, meter, component):
    blind = component(method="unavailable", reason="no permission")
    assert of_host(host(), meter(cpu=blind), None).power_w == 20.0
    assert of_host(host(), meter(cpu=blind, ram=blind), None) == NO_BASELINE


def test_a_gpu_without_a_sensor_has_no_idle_figure(host, meter, component):
    assert of_host(host(), meter(gpu=component(method="assumed", tdp_w=300)), None) == NO_BASELINE


def test_a_known_tdp_scales_the_models_idle_power(host, meter):
    known = host(known=KnownFacts(cpu_tdp_w=360, socket_threads=192))
    found = of_host(known, meter(), None)
    assert (found.power_w, found.method) == (pytest.approx(20.375), Method.ESTIMATED)
