"""CO2e of a total, and codecarbon's own accounting."""

import pytest


def test_grams_of_total_low_and_high(attempt, evaluate, intensity):
    found = evaluate(attempt(), intensity=intensity(g_per_kwh=360.0, pue=1.5))
    energy, emissions = found.energy, found.emissions
    assert emissions.co2e_g == pytest.approx(560 / 3.6e6 * 360 * 1.5)
    assert emissions.low_g == pytest.approx(energy.low_j / 3.6e6 * 540)
    assert emissions.high_g == pytest.approx(energy.high_j / 3.6e6 * 540)
    assert (emissions.pue, emissions.reason) == (1.5, None)


def test_without_a_country(attempt, evaluate, intensity):
    found = evaluate(attempt(), intensity=intensity(g_per_kwh=None, reason="no_country"))
    assert (found.emissions.co2e_g, found.emissions.reason) == (None, "no_country")
    assert found.stock_codecarbon.emissions_kg is None
    assert found.stock_codecarbon.total_kwh == pytest.approx(560 / 3.6e6)


def test_without_energy(attempt, evaluate):
    found = evaluate(attempt(seconds=0.1, step_s=0.1))
    assert (found.emissions.co2e_g, found.emissions.reason) == (None, "no_energy")


def test_stock_stands_where_we_give_no_figure(attempt, evaluate):
    stock = evaluate(attempt(seconds=0.1, step_s=0.1)).stock_codecarbon
    assert stock.cpu_kwh == pytest.approx(0.8 / 3.6e6)
    assert stock.total_kwh == pytest.approx(2.8 / 3.6e6)
    assert stock.emissions_kg == pytest.approx(2.8 / 3.6e6 * 0.056039)


def test_stock_needs_two_readings(attempt, evaluate):
    readings = attempt()
    one = readings.model_copy(update={"readings": readings.readings[:1]})
    assert evaluate(one).stock_codecarbon.total_kwh is None


def test_stock_is_not_corrected(make):
    cpu = make.component(method="estimated", source="codecarbon cpu_load", tdp_w=240)
    readings = make.attempt(
        host=make.host(cpu_model="AMD EPYC 7B12"), meter=make.meter(cpu=cpu), cpu_w=240.0
    )
    found = make.evaluate(readings, intensity=make.intensity(g_per_kwh=100.0, pue=2.0))
    stock = found.stock_codecarbon
    assert found.energy.cpu.energy_j == pytest.approx(240 * 20 / 64)
    assert stock.cpu_kwh == pytest.approx(4800 / 3.6e6)
    assert stock.gpu_kwh is None
    assert stock.emissions_kg == pytest.approx((4800 + 400) / 3.6e6 * 0.1 * 2)
