"""Published models by hand: watts of a host at a load, times one second."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.accounting import assumptions as a
from app.accounting import models
from app.accounting.series import Load
from app.domain.readings import KnownFacts


def _watts(host, load, *, generation=a.GENOA, tdp_w=None):
    """(low, central, high) by model."""
    found = models.models(host, generation, tdp_w, a.DEFAULT)
    energies = [models.energy(model, [Load(1.0, load)]) for model in found]
    return {e.name: (e.low_j, e.central_j, e.high_j) for e in energies}


def test_two_vcpus_of_a_genoa_at_full_load(host):
    found = _watts(host(), 1.0)
    # wall watts a thread ÷ 1.33, less 0.9 GB × 0.392 W; the high end twice that, a whole core
    assert found["SPECpower, EPYC 9xx4 (Genoa)"] == pytest.approx((1.18914, 1.59515, 4.42339), 1e-5)
    assert found["Cloud Carbon Footprint"] == pytest.approx((4.55756,) * 3, rel=1e-5)
    assert found["Green Algorithms"] == (12.0, 24.0, 24.0)
    assert models.TDP_TABLE not in found


def test_half_load_and_none(host):
    half, idle = _watts(host(), 0.5), _watts(host(), 0.0)
    # (0.28 + 1.26) / 2 = 0.77 W at the wall
    assert half["SPECpower, EPYC 9xx4 (Genoa)"][0] == pytest.approx(0.45229, rel=1e-4)
    # less than the busy RAM that is taken off at the ends: cut at 0; in the middle it is idle RAM
    assert idle["SPECpower, EPYC 9xx4 (Genoa)"] == pytest.approx((0.0, 0.24105, 0.24105), abs=1e-5)
    assert half["Green Algorithms"] == (6.0, 12.0, 12.0)


def test_bare_metal_is_not_doubled(host):
    found = _watts(host(virtual_machine=False), 1.0)
    assert found["SPECpower, EPYC 9xx4 (Genoa)"][2] == pytest.approx(2.21169, rel=1e-5)


def test_an_unknown_cpu_has_the_row_of_all(host):
    found = _watts(host(), 1.0, generation=None)
    assert found["SPECpower, unknown CPU"] == pytest.approx((1.05380, 4.16661, 12.99481), rel=1e-5)


def test_a_known_tdp(host):
    found = _watts(host(), 0.5, tdp_w=100.0)
    assert found["Green Algorithms"] == (50.0, 50.0, 50.0)
    # 100 W × 0.38 / 0.56 / 0.86 ÷ 1.33, less 2 × 0.3528 W, and 2 × 0.2214 W in the middle
    assert found["TDP × load table"] == pytest.approx((27.86583, 41.66246, 63.95605), rel=1e-5)


@pytest.mark.parametrize("load", [0.0, 0.01, 0.05, 0.1, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("virtual", [True, False])
@pytest.mark.parametrize("generation", [*a.SPECPOWER, None])
def test_no_row_and_no_load_is_billed_at_nothing(host, generation, virtual, load):
    facts = host(virtual_machine=virtual, host_cpus=96)
    model = models.specpower(facts, generation, a.DEFAULT)
    found = models.energy(model, [Load(1.0, load)])
    row = a.SPECPOWER[generation] if generation else a.SPECPOWER_UNKNOWN
    wall_w = row.idle_w + load * (row.full_w - row.idle_w)
    expected_w = 96 * (wall_w / 1.33 - 0.9 * (0.10 + 0.292 * load))
    assert found.central_j == pytest.approx(expected_w)
    assert found.central_j >= 96 * 0.06
    assert found.low_j <= found.central_j <= found.high_j
    assert models.watts(model.central, 0.0) > 0


@given(load=st.floats(0, 1), generation=st.sampled_from([*a.SPECPOWER, None]))
@settings(deadline=None)
def test_more_load_never_draws_less(host, load, generation):
    model = models.specpower(host(), generation, a.DEFAULT)
    assert 0 < models.watts(model.central, 0.0) <= models.watts(model.central, load)
    assert models.watts(model.low, load) <= models.watts(model.central, load)


@pytest.mark.parametrize("load", [0.0, 0.1, 0.5, 1.0])
def test_the_ends_take_off_busy_ram_at_every_load(host, load):
    """So that the interval is no narrower than with one RAM figure for all curves."""
    found = models.energy(
        models.specpower(host(virtual_machine=False), a.ICE_LAKE, a.DEFAULT), [Load(1.0, load)]
    )
    ends = [2 * ((0.92 + load * (full - 0.92)) / 1.33 - 0.3528) for full in (3.55, 4.96)]
    assert found.low_j == pytest.approx(ends[0])
    assert found.high_j == pytest.approx(max(ends[1], found.central_j))


def test_without_a_load_from_none_to_full(host):
    found = _watts(host(), None)
    assert found["Green Algorithms"] == (0.0, None, 24.0)


def test_a_span_without_load_counts_at_the_mean_load_in_the_middle(host):
    model = models.models(host(), None, 10.0, a.DEFAULT)[2]
    found = models.energy(model, [Load(1.0, 0.4), Load(3.0, 0.8), Load(1.0, None)])
    # 4 + 24 J; then 0, 7 or 10 J
    assert (found.low_j, found.central_j, found.high_j) == pytest.approx((28.0, 35.0, 38.0))


def test_boavizta_is_of_the_cpu_alone(host):
    assert _watts(host(), 0.5, tdp_w=100.0)["Boavizta"] == pytest.approx((75.0, 75.0, 75.0))
    assert models.BOAVIZTA not in _watts(host(), 0.5)


def test_a_vcpu_that_is_a_core_counts_two_threads_and_no_more(host):
    said = {is_core: host(known=KnownFacts(vcpu_is_core=is_core)) for is_core in (True, False)}
    row = "SPECpower, EPYC 9xx4 (Genoa)"
    one, two = (_watts(said[is_core], 1.0) for is_core in (False, True))
    assert one[row] == pytest.approx((1.18914, 1.59515, 2.21169), rel=1e-5)
    assert two[row] == pytest.approx(tuple(2 * watts for watts in one[row]))
    assert two["Cloud Carbon Footprint"] == pytest.approx((2 * 4.55756,) * 3, rel=1e-5)
    assert two["Green Algorithms"] == (24.0, 24.0, 24.0)
    assert one["Green Algorithms"] == (12.0, 24.0, 24.0)


@pytest.mark.parametrize(
    ("name", "virtual", "row"),
    [
        ("AMD Ryzen 9 7950X 16-Core Processor", False, "SPECpower, servers in general"),
        ("12th Gen Intel(R) Core(TM) i7-12700", False, "SPECpower, servers in general"),
        ("Intel(R) Xeon(R) E-2286M  CPU @ 2.40GHz", False, "SPECpower, unknown CPU"),
        ("Intel Core Processor (Haswell, no TSX)", True, "SPECpower, unknown CPU"),
    ],
)
def test_the_row_of_servers_says_so_where_the_cpu_is_none(host, name, virtual, row):
    found = _watts(host(cpu_model=name, virtual_machine=virtual), 1.0, generation=None)
    assert row in found


def test_what_a_model_says_above_its_own_idle_power(host):
    by_name = {
        found.name: (found.net_low_j, found.net_high_j)
        for model in models.models(host(), a.GENOA, 100.0, a.DEFAULT)
        for found in [models.energy(model, [Load(2.0, 0.5), Load(1.0, None)])]
    }
    assert by_name["Green Algorithms"] == pytest.approx((100.0, 200.0))
    assert by_name["Boavizta"] == pytest.approx((2 * 63.0, 2 * 63.0 + 90.0))
    # 100 W × (0.38 − 0.11) / 1.33 twice; 0.86 − 0.44 twice and 1.41 − 0.44 once
    assert by_name["TDP × load table"] == pytest.approx((40.6015, 136.0902), rel=1e-5)
