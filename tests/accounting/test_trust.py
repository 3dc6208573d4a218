"""Reason codes, the grade they allow, and the conditions behind them."""

import pytest

from app.accounting import trust
from app.domain.jobs import JobStatus

RAPL = {"method": "measured", "source": "codecarbon intel_rapl"}


def _codes(report):
    return {reason.code for reason in report.trust.reasons}


@pytest.mark.parametrize(("code", "reason"), trust.REASONS.items())
def test_every_reason_is_two_sentences(code, reason):
    assert reason.grade in "BCDEF"
    for sentence in (reason.meaning, reason.what_to_do):
        assert sentence[0].isupper()
        assert sentence.endswith(".")


def test_a_guessed_cpu_is_a_d(attempt, evaluate):
    found = evaluate(attempt())
    assert found.trust.grade == "D"
    assert _codes(found) == {"cpu_power_guessed", "ram_power_assumed", "short_run"}
    assert found.trust.reasons[0].message == trust.REASONS["cpu_power_guessed"].message


def test_everything_measured_is_an_a(attempt, evaluate, meter, component):
    measured = meter(cpu=component(**RAPL), ram=component(**RAPL))
    found = evaluate(attempt(seconds=60.0, meter=measured))
    assert (found.trust.grade, found.trust.reasons) == ("A", ())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"others": 0.06}, "contention"),
        ({"load": None}, "contention_unknown"),
        ({"steal": 0.02}, "steal"),
        ({"step_s": 2.5}, "sample_gap"),
        ({"seconds": 59.9}, "short_run"),
    ],
)
def test_conditions(attempt, evaluate, changes, code):
    quiet = {"seconds": 60.0, "marks": {}}
    assert code not in _codes(evaluate(attempt(**quiet)))
    assert code in _codes(evaluate(attempt(**quiet | changes)))


def test_below_the_thresholds(attempt, evaluate):
    found = evaluate(attempt(others=0.04, steal=0.005, step_s=2.0, seconds=60.0))
    assert _codes(found) == {"cpu_power_guessed", "ram_power_assumed"}
    assert found.trust.contention_share == pytest.approx(0.04)
    assert found.trust.steal_s == pytest.approx(0.6)
    assert found.trust.largest_sample_gap_s == 2.0
    assert found.trust.instrument_cpu_s == pytest.approx(0.06)


@pytest.mark.parametrize(("interval_s", "late"), [(1.0, True), (10.0, False)])
def test_a_gap_is_judged_by_the_sampling_interval(attempt, evaluate, interval_s, late):
    readings = attempt(step_s=2.5, seconds=60.0)
    found = evaluate(readings.model_copy(update={"sample_interval_s": interval_s}))
    assert ("sample_gap" in _codes(found)) is late


def test_others_below_nothing_are_nothing(attempt, evaluate):
    assert evaluate(attempt(others=-0.01)).trust.contention_share == 0.0


def test_a_window_under_half_of_the_run_says_nothing(attempt, evaluate):
    readings = attempt()
    items = tuple(
        r if r.t_s < 9 else r.model_copy(update={"service_cpu_s": None}) for r in readings.readings
    )
    found = evaluate(readings.model_copy(update={"readings": items}))
    assert found.trust.contention_share is None


@pytest.mark.parametrize("status", sorted(set(JobStatus) - {JobStatus.SUCCEEDED}))
def test_a_cut_run(attempt, evaluate, status):
    assert "not_finished" in _codes(evaluate(attempt(), status=status))


def test_too_short_is_an_f(attempt, evaluate):
    found = evaluate(attempt(seconds=0.2, step_s=0.2))
    assert (found.trust.grade, "too_short" in _codes(found)) == ("F", True)


def test_an_unavailable_component_is_an_e(attempt, evaluate, meter, component):
    blind = meter(gpu=component(method="unavailable", reason="no driver"))
    found = evaluate(attempt(meter=blind))
    assert (found.trust.grade, "gpu_unavailable" in _codes(found)) == ("E", True)


def test_no_figure_at_all_is_an_f(attempt, evaluate, meter, component):
    nothing = component(method="unavailable", reason="no permission")
    found = evaluate(attempt(meter=meter(cpu=nothing, ram=nothing), cpu_w=None, ram_w=None))
    assert found.energy.total_j is None
    assert found.trust.grade == "F"
    assert {"no_figure", "cpu_unavailable", "ram_unavailable"} <= _codes(found)
    assert "no_figure" not in _codes(evaluate(attempt(meter=meter(cpu=nothing), cpu_w=None)))
