"""Conversions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.quantities import co2e_g, joules_from_kwh, kwh_from_joules

energies = st.floats(0, 1e12)


def test_a_kilowatt_hour_is_3_6_megajoules():
    assert joules_from_kwh(1) == 3_600_000
    assert kwh_from_joules(3_600_000) == 1


@given(energies)
def test_there_and_back(energy_j):
    assert joules_from_kwh(kwh_from_joules(energy_j)) == pytest.approx(energy_j)


def test_co2e_by_hand():
    assert co2e_g(3_600_000, 56.04, 1.5) == pytest.approx(84.06)


@given(energies, st.floats(0, 2000), st.floats(1, 3), st.floats(0, 10))
def test_co2e_is_linear_in_intensity_and_pue(energy_j, intensity, pue, factor):
    once = co2e_g(energy_j, intensity, pue)
    assert co2e_g(energy_j, intensity * factor, pue) == pytest.approx(
        once * factor, rel=1e-9, abs=1e-9
    )
    assert co2e_g(energy_j, intensity, pue * factor) == pytest.approx(
        once * factor, rel=1e-9, abs=1e-9
    )
