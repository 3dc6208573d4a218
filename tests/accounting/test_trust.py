"""Reason codes, the grade they allow, and the conditions behind them."""

import json

import pytest

from app.accounting import trust
from app.accounting.assumptions import SETS
from app.domain.jobs import JobStatus
from app.domain.readings import Quiet
from tests.accounting.grade_by_hand import codes as by_hand


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


def test_everything_measured_on_a_quiet_host_of_known_idle_power_is_an_a(measured, evaluate):
    found = evaluate(measured())
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


def _with(readings, **fields):
    return readings.model_copy(update=fields)


def _meter(readings, **fields):
    return _with(readings, meter=readings.meter.model_copy(update=fields))


CONDITIONS = {
    "not_quiet": lambda make, r: _with(
        r, quiet=Quiet(waited_s=10.0, others_share=0.4, quiet=False)
    ),
    "swapping": lambda make, r: make.changed(r, lambda x: {"swapped_mib": 17 * (x.t_s > 9)}),
    "temperature_drift": lambda make, r: make.changed(
        r, lambda x: {"cpu_temperature_c": 40.0 + 11 * (x.t_s > 75)}
    ),
    "governor": lambda make, r: _with(r, governor="powersave"),
    "no_baseline": lambda make, r: _with(r, idle=None),
    "baseline_disturbed": lambda make, r: _with(r, idle=make.idle(others_share=0.06)),
    "service_busy": lambda make, r: make.changed(r, lambda x: {"service_cpu_s": 0.11 * x.t_s}),
    "sensor_left_out": lambda make, r: _meter(r, left_out=("package-1",)),
    "counter_wrapped": lambda make, r: _meter(
        r, sensors=tuple(s.model_copy(update={"range_j": 200.0}) for s in r.meter.sensors)
    ),
    "counter_stopped": lambda make, r: make.changed(r, lambda x: {"sensors_j": (x.t_s, 9.0)}),
}


@pytest.mark.parametrize("code", CONDITIONS)
def test_a_condition_has_its_reason_and_lowers_the_grade_of_an_a(make, code):
    sound = make.measured(seconds=100.0)
    assert make.evaluate(sound).trust.grade == "A"
    found = make.evaluate(CONDITIONS[code](make, sound)).trust
    assert code in {reason.code for reason in found.reasons}
    assert found.grade >= trust.REASONS[code].grade


@pytest.mark.parametrize(("used", "told"), [(None, False), (0.05, False), (0.051, True)])
def test_a_gpu_that_others_used_while_idle_power_was_measured(make, used, told):
    found = make.evaluate(make.measured(seconds=100.0, idle=make.idle(gpu_utilization=used)))
    assert ("baseline_disturbed" in _codes(found)) is told
    modelled = make.evaluate(_with(make.attempt(), idle=make.idle(gpu_utilization=used)))
    assert "baseline_disturbed" not in _codes(modelled)  # its window is not in that baseline


@pytest.mark.parametrize("code", sorted(set(CONDITIONS) - {"counter_wrapped"}))
def test_a_condition_can_be_read_off_the_report(make, code):
    found = make.evaluate(CONDITIONS[code](make, make.measured(seconds=100.0)))
    assert code in by_hand(json.loads(found.model_dump_json()))


HOSTS = {
    "guessed": {},
    "rated": {"tdp_w": 360.0, "tdp_guessed": False},
    "server": {"tdp_w": 240.0, "tdp_guessed": False, "cpu_model": "AMD EPYC 7B12"},
    "unknown": {"cpu_model": "odd", "cpu_family": None, "cpu_model_number": None},
}


@pytest.mark.parametrize("chosen", SETS)
@pytest.mark.parametrize("load", [None, 0.5])
@pytest.mark.parametrize("name", HOSTS)
def test_what_is_modelled_can_be_read_off_the_report(make, name, load, chosen):
    cpu = {"tdp_w": 8, "tdp_guessed": True} | HOSTS[name]
    host = make.host(**{key: cpu.pop(key) for key in list(cpu) if key.startswith("cpu_")})
    facts = make.component(method="assumed", source="codecarbon cpu_load", **cpu)
    readings = make.attempt(host=host, meter=make.meter(cpu=facts), load=load, seconds=60.0)
    found = make.evaluate(readings, assumptions=SETS[chosen])
    assert by_hand(json.loads(found.model_dump_json())) == _codes(found)


def _many_cpus(make, others, job):
    """128 CPUs, of which others use `others` and the job `job`."""
    readings = make.measured(
        host=make.host(cpu_vendor="GenuineIntel", virtual_machine=False, host_cpus=128)
    )
    return make.changed(
        readings,
        lambda r: {
            "host_busy_s": 50.0 + (others + job) * r.t_s,
            "job_cpu_s": None if r.t_s == 60 else job * r.t_s,
        },
    )


@pytest.mark.parametrize(
    ("others", "job", "told"),
    [
        (6.3, 1.0, True),  # 4.9 % of the host, and six times the job
        (0.51, 1.0, True),
        (0.49, 1.0, False),
        (6.3, 100.0, False),
        (6.5, 100.0, True),  # 5.1 % of the host
        (6.3, 0.0, False),  # of a job that is not seen to use a CPU there is no share
    ],
)
def test_others_beside_a_small_job_on_many_cpus(make, others, job, told):
    found = make.evaluate(_many_cpus(make, others, job)).trust
    assert ("contention" in {reason.code for reason in found.reasons}) is told


def test_a_part_without_idle_power_beside_one_with_it_has_no_baseline(make):
    """RAPL whose idle power is known, and a GPU of which the rated power is all that is known."""
    readings = make.measured()
    gpu = make.component(method="assumed", tdp_w=300.0)
    known = make.evaluate(readings)
    found = make.evaluate(_meter(readings, gpu=gpu))
    assert (known.energy.baseline.power_w, known.trust.reasons) == (20.0, ())
    assert (found.energy.baseline.power_w, found.energy.net_j) == (None, None)
    assert "no_baseline" in _codes(found)


def test_without_a_figure_a_baseline_is_not_missed(make):
    blind = make.component(method="unavailable", reason="no permission")
    found = make.evaluate(_meter(make.measured(), cpu=blind))
    assert "no_baseline" not in _codes(found)
    assert "no_figure" in _codes(found)


def test_the_conditions_behind_a_grade_are_in_the_report(make):
    readings = make.changed(
        make.measured(seconds=180.0, idle=make.idle(others_share=0.03, service_share=0.01)),
        lambda r: {"swapped_mib": r.t_s / 10, "cpu_temperature_c": 30 + r.t_s / 10},
    )
    found = make.evaluate(_with(readings, sample_interval_s=0.5))
    seen, baseline = found.trust, found.energy.baseline
    assert (seen.swapped_mib, seen.temperature_drift_c) == (pytest.approx(18), pytest.approx(9))
    assert (seen.governor, seen.quiet_at_start) == ("performance", True)
    assert (baseline.others_share, baseline.service_share) == (0.03, 0.01)
    assert (found.environment.host_cpus, found.environment.sample_interval_s) == (2, 0.5)


@pytest.mark.parametrize(
    "change",
    [
        lambda make, r: make.changed(r, lambda x: {"swapped_mib": 16 * (x.t_s > 9)}),
        lambda make, r: make.changed(r, lambda x: {"cpu_temperature_c": 40.0 + 9 * (x.t_s > 75)}),
        lambda make, r: make.changed(r, lambda x: {"cpu_temperature_c": min(x.t_s, 60.0)}),
        lambda make, r: _with(r, governor=None),
        lambda make, r: _with(r, quiet=None),
        lambda make, r: _with(r, idle=make.idle(others_share=0.04, service_share=None)),
        lambda make, r: make.changed(r, lambda x: {"service_cpu_s": 0.09 * x.t_s}),
    ],
)
def test_below_its_bound_a_condition_is_none(make, change):
    assert make.evaluate(change(make, make.measured(seconds=100.0))).trust.reasons == ()


def test_the_service_that_is_busy_is_no_contention(make):
    busy = make.changed(
        make.measured(others=0.2), lambda r: {"service_cpu_s": 3.0 + 2 * 0.2 * r.t_s}
    )
    found = make.evaluate(busy).trust
    assert (found.contention_share, found.service_share) == (
        pytest.approx(0.0, abs=1e-9),
        pytest.approx(0.2),
    )
    assert [reason.code for reason in found.reasons] == ["service_busy"]
    assert found.grade == "C"


def test_the_wait_for_quiet_and_the_instruments_cost_are_told(make):
    waited = Quiet(waited_s=2.5, others_share=0.01, quiet=True)
    found = make.evaluate(_with(make.measured(), quiet=waited)).trust
    assert found.waited_for_quiet_s == 2.5
    # 3000 J × 0.001 of 2 busy CPU-seconds a second
    assert found.instrument_j == pytest.approx(1.5)
    assert make.evaluate(_with(make.measured(), quiet=None)).trust.waited_for_quiet_s is None


def test_a_host_without_sensors_needs_no_idle_window(attempt, evaluate):
    assert "no_baseline" not in _codes(evaluate(attempt()))


def test_a_left_out_socket_makes_the_total_a_lower_bound(make):
    found = make.evaluate(_meter(make.measured(), left_out=("package-1",)))
    assert (found.energy.complete, found.trust.grade) == (False, "E")
