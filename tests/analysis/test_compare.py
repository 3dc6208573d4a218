"""Two sides under every assumption: ratios, their ends, and rankings that hold or turn round."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.analysis.compare import compare
from tests.analysis.conftest import MEASURED


def test_at_one_load_the_ratio_is_that_of_the_durations_in_every_scenario(make_run):
    found = compare([make_run(20, 30)], [make_run(10, 30)])
    assert found.ratio == pytest.approx(0.5)
    assert (found.low, found.high) == (pytest.approx(0.5), pytest.approx(0.5))
    assert (found.less, found.holds, found.cancels) == ("b", "in_all", True)
    assert found.agreeing == found.scenarios > 40
    assert found.against == ()


def test_a_ranking_that_rests_on_idle_power_holds_in_some_and_names_the_others(make_run):
    quick, slow = make_run(10, 65, load=1.0), make_run(12, 33, load=0.5)
    found = compare([quick], [slow])
    assert found.holds == "in_some"
    assert found.low < 1 < found.high
    assert 0 < found.agreeing < found.scenarios
    assert all((one.ratio < 1) is not (found.ratio < 1) for one in found.against)
    distances = [abs(math.log(one.ratio)) for one in found.against]
    assert distances == sorted(distances, reverse=True)


def test_across_hosts_only_intervals_that_do_not_touch_tell(make_run):
    found = compare([make_run(10, 30)], [make_run(11, 30, host="other")])
    assert (found.cancels, found.holds, found.less) == (False, "cannot_tell", "a")
    assert found.low < 1 < found.high
    found = compare([make_run(10, 30)], [make_run(1000, 30, host="other")])
    assert (found.cancels, found.holds, found.less) == (False, "in_all", "a")


def test_a_sensor_s_error_cancels_on_one_host(make_run):
    found = compare([make_run(10, 30, cpu=MEASURED)], [make_run(10, 31, cpu=MEASURED)])
    assert (found.holds, found.less) == ("in_all", "a")


def test_nothing_is_said_where_a_figure_is_missing_or_a_lower_bound(make_run):
    whole = make_run(10, 30)
    partial = whole.model_copy(
        update={"energy": whole.energy.model_copy(update={"complete": False})}
    )
    gone = whole.model_copy(update={"energy": whole.energy.model_copy(update={"total_j": None})})
    for other in (partial, gone):
        found = compare([whole], [other])
        assert (found.ratio, found.low, found.high) == (None, None, None)
        assert (found.holds, found.less, found.scenarios) == ("cannot_tell", None, 0)


def test_the_same_energy_has_no_ranking(make_run):
    found = compare([make_run(10, 30)], [make_run(10, 30)])
    assert (found.ratio, found.less, found.holds) == (1.0, None, "cannot_tell")


def test_several_runs_of_a_side_count_by_their_geometric_mean(make_run):
    found = compare([make_run(10, 30), make_run(40, 30)], [make_run(10, 30)])
    assert found.ratio == pytest.approx(0.5)
    assert found.energy_a_j == pytest.approx(20 * 50)


def test_further_sets_have_their_own_ratios(make_run):
    a, b = make_run(10, 65), make_run(12, 33, load=0.5)
    under = [make_run(10, 65, under="specpower"), make_run(12, 33, load=0.5, under="specpower")]
    found = compare([a], [b], {"specpower": ([under[0]], [under[1]])})
    assert found.sets == {
        "specpower": pytest.approx(under[1].energy.total_j / under[0].energy.total_j)
    }


def test_a_side_without_a_report():
    with pytest.raises(ValueError, match="one report or more"):
        compare([], [])


RUNS = st.tuples(st.floats(1, 1000), st.floats(1, 200), st.floats(0, 1))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RUNS, RUNS, st.booleans())
def test_the_other_way_round_is_the_inverse(make_run, one, two, elsewhere):
    a, b = make_run(*one), make_run(*two, host="other" if elsewhere else "box")
    there, back = compare([a], [b]), compare([b], [a])
    assert there.ratio * back.ratio == pytest.approx(1)
    assert there.low * back.high == pytest.approx(1)
    assert there.holds == back.holds
    assert there.low <= there.ratio * (1 + 1e-9) and there.ratio <= there.high * (1 + 1e-9)
    assert {there.less, back.less} in ({"a", "b"}, {None})
