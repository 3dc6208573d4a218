"""The whole report: sums, properties under cuts and prices, and jobs that never ran."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.accounting.report import empty_report, energy_j
from app.domain.jobs import JobStatus
from app.domain.readings import KnownFacts, Method
from app.domain.reports import AttemptEnergy, EnergyReport
from app.domain.specs import JobSpec

WATTS = st.floats(min_value=0.01, max_value=1e4)


def test_the_contracts_example(attempt, evaluate):
    found = evaluate(attempt())
    energy = found.energy
    assert (energy.total_j, energy.complete) == (pytest.approx(560.0), True)
    assert energy.total_kwh == pytest.approx(0.00015556, rel=1e-4)
    assert found.mean_power_w == pytest.approx(28.0)
    assert energy.low_j == pytest.approx(energy.cpu.low_j + energy.ram.low_j)
    assert energy.high_j == pytest.approx(880.0)
    assert energy.baseline.model_dump() == pytest.approx(
        {
            "power_w": 20.8,
            "energy_j": 416.0,
            "method": Method.ASSUMED,
            "window_s": None,
            "taken_at": None,
            "others_share": None,
            "service_share": None,
            "gpu_utilization": None,
        }
    )
    assert energy.net_j == pytest.approx(144.0)
    assert energy.wall.energy_j == pytest.approx(744.8)
    assert energy.wall.low_j == pytest.approx(energy.low_j * 1.15)
    assert energy.wall.high_j == pytest.approx(1364.0)
    assert energy.spent_j == energy.total_j
    assert found.emissions.co2e_g == pytest.approx(0.00872, rel=1e-3)
    assert found.attempts == (AttemptEnergy(attempt=1, ended="succeeded", energy_j=energy.total_j),)
    assert found.finished_at == found.started_at + timedelta(seconds=20)


def test_environment_and_identity(attempt, evaluate):
    readings = attempt()
    found = evaluate(readings)
    environment = found.environment
    assert environment.cpu_generation == "EPYC 9xx4 (Genoa)"
    assert (environment.tensorflow, environment.threads) == ("2.21.0", 2)
    assert environment.execution == {"threads": 2, "jit_compile": False}
    assert (environment.host_cpus, environment.sample_interval_s) == (2, 1.0)
    assert found.readings_sha256 == readings.sha256()
    assert found.spec_sha256 == JobSpec(model_type="cnn").sha256()
    assert found.assumptions.model_dump() == {"set": "codecarbon", "version": "3", "overrides": {}}
    assert EnergyReport.model_validate_json(found.model_dump_json()) == found


def test_a_report_of_an_earlier_release_can_still_be_read(measured, evaluate):
    """Without what came later, as it was stored then."""
    now = evaluate(measured()).model_dump(mode="json")
    later = {
        "environment": ("host_cpus", "sample_interval_s"),
        "trust": ("swapped_mib", "temperature_drift_c", "governor", "others_over_job"),
    }
    for part, names in later.items():
        for name in names:
            del now[part][name]
    del now["trust"]["quiet_at_start"]
    for name in ("others_share", "service_share"):
        del now["energy"]["baseline"][name]
    old = EnergyReport.model_validate(now)
    assert old.environment.host_cpus is None
    assert old.trust.governor is None
    assert old.energy.baseline.others_share is None


def test_what_the_user_knew_better_is_listed_by_setting(attempt, evaluate, host):
    known = KnownFacts(cpu_tdp_w=360, socket_threads=192, cpu_generation="turin", wall_factor=1.2)
    found = evaluate(attempt(host=host(known=known)))
    assert found.assumptions.overrides == {
        "cpu_tdp_w": 360.0,
        "socket_threads": 192,
        "cpu_generation": "turin",
        "wall_factor": 1.2,
    }
    assert '"socket_threads":192,' in found.model_dump_json()
    assert found.environment.cpu_generation == "EPYC 9xx5 (Turin)"
    wall, energy = found.energy.wall, found.energy
    assert (wall.low_j, wall.energy_j, wall.high_j) == pytest.approx(
        (1.2 * energy.low_j, 1.2 * energy.total_j, 1.2 * energy.high_j)
    )
    assert wall.method is Method.ESTIMATED
    assert EnergyReport.model_validate_json(found.model_dump_json()) == found


def test_a_measured_host_without_idle_window(attempt, evaluate, meter, component):
    cpu = component(method="measured", source="codecarbon intel_rapl")
    energy = evaluate(attempt(meter=meter(cpu=cpu))).energy
    assert energy.baseline.method is Method.UNAVAILABLE
    assert (energy.baseline.power_w, energy.net_j) == (None, None)


def test_a_known_tdp_makes_the_baseline_estimated(attempt, evaluate, host, meter, component):
    cpu = component(method="estimated", source="codecarbon cpu_load", tdp_w=65)
    metal = host(virtual_machine=False)
    energy = evaluate(attempt(host=metal, meter=meter(cpu=cpu))).energy
    assert energy.baseline.method is Method.ESTIMATED
    assert energy.baseline.power_w == pytest.approx(26.5)
    assert energy.net_j == pytest.approx(560 - 530)


def test_net_is_not_negative(attempt, evaluate):
    assert evaluate(attempt(cpu_w=0.1)).energy.net_j == 0.0


def test_a_missing_component_makes_a_lower_bound(attempt, evaluate, meter, component):
    cpu = component(method="unavailable", reason="no permission")
    energy = evaluate(attempt(meter=meter(cpu=cpu), cpu_w=None)).energy
    assert (energy.complete, energy.cpu.energy_j) == (False, None)
    assert energy.total_j == energy.ram.energy_j == pytest.approx(400.0)


def test_too_short_has_no_figure_anywhere(attempt, evaluate):
    found = evaluate(attempt(seconds=0.05, step_s=0.05))
    energy = found.energy
    assert energy.cpu.method is Method.UNAVAILABLE
    assert "too short" in energy.cpu.reason
    assert not energy.complete
    assert {energy.total_j, energy.low_j, energy.net_j, energy.spent_j, energy.wall.high_j} == {
        None
    }
    assert energy.baseline.energy_j is None
    assert [phase.energy_j for phase in found.phases] == [None]
    assert found.duration_s == 0.05


def test_a_child_that_failed_at_once(attempt, evaluate):
    readings = attempt()
    one = readings.model_copy(update={"readings": readings.readings[:1]})
    found = evaluate(one, status=JobStatus.FAILED)
    assert (found.duration_s, found.energy.total_j, found.phases) == (0.0, None, ())
    assert found.trust.grade == "F"
    assert energy_j(one) is None


def test_no_reading_at_all_is_refused(attempt, evaluate):
    with pytest.raises(ValueError, match="at least one reading"):
        evaluate(attempt().model_copy(update={"readings": ()}))


def test_attempts_add_up(attempt, evaluate):
    earlier = (
        AttemptEnergy(attempt=1, ended="lost", energy_j=40.0),
        AttemptEnergy(attempt=2, ended="lost", energy_j=None),
    )
    readings = attempt().model_copy(update={"attempt": 3})
    found = evaluate(readings, earlier=earlier)
    assert found.energy.spent_j == pytest.approx(600.0)
    assert [a.attempt for a in found.attempts] == [1, 2, 3]
    assert energy_j(readings) == found.energy.total_j
    assert "spent_incomplete" in {reason.code for reason in found.trust.reasons}
    complete = evaluate(readings, earlier=earlier[:1])
    assert "spent_incomplete" not in {reason.code for reason in complete.trust.reasons}


def _empty(intensity, work, **changes):
    arguments = {
        "job_id": "j",
        "spec": JobSpec(model_type="cnn"),
        "status": JobStatus.CANCELLED,
        "work": work,
        "intensity": intensity(),
        "finished_at": datetime(2026, 11, 24, tzinfo=UTC),
    }
    return empty_report(**(arguments | changes))


def test_a_job_cancelled_while_queued(intensity, work):
    found = _empty(intensity, work)
    assert (found.duration_s, found.started_at, found.readings_sha256) == (0.0, None, None)
    assert (found.energy.total_j, found.energy.spent_j, found.energy.complete) == (
        None,
        None,
        False,
    )
    assert (found.trust.grade, found.trust.reasons[0].code) == ("F", "never_started")
    assert found.emissions.intensity_g_per_kwh == 56.039
    assert found.attempts == ()


def test_a_job_whose_attempts_are_used_up(intensity, work):
    earlier = (AttemptEnergy(attempt=1, ended="lost", energy_j=40.0),)
    found = _empty(intensity, work, status=JobStatus.FAILED, earlier=earlier)
    assert (found.energy.total_j, found.energy.spent_j) == (None, 40.0)
    assert "not_run_again" in {reason.code for reason in found.trust.reasons}
    assert "again" in found.energy.cpu.reason
    assert found.attempts == earlier


@pytest.mark.parametrize(
    ("earlier", "codes"),
    [
        ((), ["no_readings"]),
        (
            (AttemptEnergy(attempt=1, ended="lost", energy_j=40.0),),
            ["no_readings", "spent_incomplete"],
        ),
    ],
)
def test_an_attempt_lost_before_its_first_reading(intensity, work, earlier, codes):
    lost = AttemptEnergy(attempt=len(earlier) + 1, ended="failed", energy_j=None)
    found = _empty(intensity, work, status=JobStatus.FAILED, earlier=earlier, lost=lost)
    assert found.attempts == (*earlier, lost)
    assert [reason.code for reason in found.trust.reasons] == codes
    assert found.trust.grade == "F"
    assert found.energy.cpu.reason.startswith("its worker was lost before")
    assert found.energy.spent_j == (40.0 if earlier else None)


def _numbers(value):
    """Every number of a report's JSON."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [number for item in value for number in _numbers(item)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def _cut(readings, last):
    return readings.model_copy(update={"readings": readings.readings[: last + 1]})


@settings(max_examples=60, deadline=None)
@given(last=st.integers(0, 40), cpu_w=WATTS, ram_w=WATTS, load=st.floats(0, 1))
def test_a_cut_run_holds_together(make, last, cpu_w, ram_w, load):
    whole = make.attempt(cpu_w=cpu_w, ram_w=ram_w, load=load)
    cut = _cut(whole, last)
    found = make.evaluate(cut, status=JobStatus.CANCELLED)
    energy = found.energy
    assert all(math.isfinite(n) and n >= 0 for n in _numbers(found.model_dump(mode="python")))
    if energy.total_j is None:
        assert found.duration_s < 0.3
        return
    assert energy.total_j <= energy_j(whole) * (1 + 1e-12)
    components = (energy.cpu, energy.ram)
    assert sum(c.energy_j for c in components) == pytest.approx(energy.total_j, rel=1e-9)
    assert sum(p.energy_j for p in found.phases) == pytest.approx(energy.total_j, rel=1e-9)
    assert sum(p.duration_s for p in found.phases) == pytest.approx(found.duration_s)
    assert all(c.low_j <= c.energy_j <= c.high_j for c in components)
    assert energy.low_j <= energy.total_j <= energy.high_j
    assert energy.wall.low_j <= energy.wall.energy_j <= energy.wall.high_j


@settings(max_examples=25, deadline=None)
@given(g_per_kwh=st.floats(0, 5000), pue=st.floats(1, 5), factor=st.floats(0.1, 2))
def test_emissions_are_linear_in_intensity_and_pue(make, g_per_kwh, pue, factor):
    readings = make.attempt(seconds=2.0)
    one = make.evaluate(readings, intensity=make.intensity(g_per_kwh=g_per_kwh, pue=pue)).emissions
    dearer = make.intensity(g_per_kwh=g_per_kwh * factor, pue=pue)
    wider = make.intensity(g_per_kwh=g_per_kwh, pue=pue * factor)
    for changed in (dearer, wider):
        found = make.evaluate(readings, intensity=changed).emissions
        assert found.co2e_g == pytest.approx(one.co2e_g * factor)
        assert found.low_g == pytest.approx(one.low_g * factor)
        assert found.high_g == pytest.approx(one.high_g * factor)


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.floats(0.01, 50), min_size=3, max_size=30), data=st.data())
def test_uneven_counters_and_cuts(make, steps, data):
    sensor = make.component(method="measured", source="codecarbon intel_rapl")
    readings = make.attempt(seconds=len(steps) * 0.5, meter=make.meter(cpu=sensor))
    total, items = 0.0, [readings.readings[0].model_copy(update={"cpu_j": 0.0})]
    for item, step in zip(readings.readings[1:], steps, strict=True):
        total += step
        items.append(item.model_copy(update={"cpu_j": total}))
    whole = readings.model_copy(update={"readings": tuple(items)})
    last = data.draw(st.integers(1, len(steps)))
    found = make.evaluate(_cut(whole, last))
    assert found.energy.cpu.energy_j == pytest.approx(sum(steps[:last]))
    assert energy_j(_cut(whole, last)) <= energy_j(whole) * (1 + 1e-12)
    assert sum(p.energy_j for p in found.phases) == pytest.approx(found.energy.total_j, rel=1e-9)


def test_every_interval_of_models_can_be_followed_from_its_models(attempt, evaluate):
    found = evaluate(attempt())
    for component in (found.energy.cpu, found.energy.ram):
        if component.interval == "published_models":
            assert component.low_j == min(model.low_j for model in component.models.values())
            assert component.high_j == max(model.high_j for model in component.models.values())
