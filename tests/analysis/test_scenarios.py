"""The ways to know a run's energy: where errors are shared, and where they are not."""

import pytest

from app.analysis.scenarios import figures, named
from app.domain.readings import Method
from tests.analysis.conftest import ABSENT, MEASURED


def test_a_sensor_is_its_figure_and_both_ends(make_run):
    cpu = make_run(10, 30, cpu=MEASURED).energy.cpu
    assert figures(cpu) == {
        "its sensor": cpu.energy_j,
        "its sensor (low end)": cpu.low_j,
        "its sensor (high end)": cpu.high_j,
    }


def test_a_model_is_each_published_one_with_its_ends(make_run):
    cpu = make_run(10, 30).energy.cpu
    found = figures(cpu)
    assert min(found.values()) == pytest.approx(cpu.low_j)
    assert max(found.values()) == pytest.approx(cpu.high_j)
    assert {name.partition(" (")[0] for name in found} == set(cpu.models)
    assert found["codecarbon"] == cpu.energy_j


def test_an_absent_component_adds_nothing_and_a_lost_one_leaves_no_scenario(make_run):
    cpu = make_run(10, 30).energy.cpu
    absent = cpu.model_copy(update={"method": Method.ABSENT, "energy_j": None, "models": {}})
    assert figures(absent) == {"": 0.0}
    lost = absent.model_copy(update={"method": Method.UNAVAILABLE})
    assert figures(lost) is None


def test_every_scenario_sets_all_runs_by_the_same_models(make_run):
    one, two = make_run(10, 30), make_run(20, 30)
    found = named([one, two])
    cpu, ram = figures(one.energy.cpu), figures(one.energy.ram)
    assert len(found) == len(cpu) * len(ram)
    for name, (first_j, second_j) in found.items():
        assert second_j == pytest.approx(2 * first_j), name
    assert "CPU by codecarbon, RAM by codecarbon" in found


def test_errors_cancel_on_one_host_by_one_method_alone(make_run):
    one = make_run(10, 30)
    assert named([one, make_run(10, 30, host="other")]) is None
    assert named([one, make_run(10, 30, cpu=MEASURED)]) is None
    assert named([one, make_run(10, 30, ram=ABSENT)]) is None
    assert named([one, one.model_copy(update={"environment": None})]) is None
