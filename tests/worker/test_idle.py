"""Idle power from samples of a known power."""

import pytest

from app.domain.readings import ComponentFacts, MeterFacts, Method
from app.metering.meter import Energies
from app.worker.idle import Window, has_sensor, is_whole, lacking
from app.worker.load_monitor import LoadMonitor, Look

ABSENT = ComponentFacts(method=Method.ABSENT)
MEASURED = ComponentFacts(method=Method.MEASURED, source="a sensor")
ESTIMATED = ComponentFacts(method=Method.ESTIMATED, source="a model", tdp_w=100)
CPUS = 2


def facts(cpu=MEASURED, gpu=ABSENT):
    return MeterFacts(cpu=cpu, gpu=gpu, ram=ABSENT, codecarbon="0")


def window(meter=None, length_s=60.0):
    return Window(
        meter or facts(), LoadMonitor(CPUS, lambda: pytest.fail("no look is needed")), length_s
    )


def fill(
    it, seconds, *, begin_s=0.0, cpu_w=10.0, gpu_w=None, others=0.0, service=0.0, gpu_used=None
):
    """Samples once a second at flat powers and flat shares of the host."""
    for step in range(seconds + 1):
        t_s = begin_s + step
        it.add(
            Look(t_s=t_s, others_s=others * CPUS * t_s, service_s=service * CPUS * t_s),
            Energies(
                cpu_j=None if cpu_w is None else 5 + cpu_w * t_s,
                gpu_j=None if gpu_w is None else 9 + gpu_w * t_s,
                ram_j=None,
            ),
            gpu_used,
        )


def test_the_power_of_each_sensor_and_who_was_busy():
    it = window(facts(gpu=MEASURED))
    fill(it, 70, cpu_w=10, gpu_w=25, others=0.02, service=0.01)
    found = it.idle(60)
    assert (found.cpu_w, found.gpu_w, found.window_s) == (10, 25, 60)
    assert found.others_share == pytest.approx(0.02)
    assert found.service_share == pytest.approx(0.01)


def test_a_window_that_is_too_short_is_none():
    it = window()
    fill(it, 59)
    assert it.idle(60) is None
    assert it.idle(59).window_s == 59


@pytest.mark.parametrize("who", ["others", "service"])
def test_a_busy_host_is_not_idle_unless_that_is_taken(who):
    it = window()
    fill(it, 60, **{who: 0.06})
    assert it.idle(60) is None
    assert getattr(it.idle(60, disturbed=True), f"{who}_share") == pytest.approx(0.06)


def test_a_load_that_has_ended_moves_out_of_the_window():
    it = window(length_s=10)
    fill(it, 8, others=0.5, cpu_w=50)
    assert it.idle(5) is None
    late = Look(t_s=8, others_s=0.5 * CPUS * 8, service_s=0.0)
    for step in range(1, 12):
        it.add(
            Look(t_s=8 + step, others_s=late.others_s, service_s=0.0),
            Energies(cpu_j=405 + 10 * step, gpu_j=None, ram_j=None),
        )
    assert it.idle(5).cpu_w == pytest.approx(10)
    assert it.idle(10).others_share == 0


def test_after_a_gap_it_begins_anew():
    it = window()
    fill(it, 50)
    fill(it, 20, begin_s=500.0)
    assert it.span_s == 20
    assert it.idle(30) is None


def test_a_component_without_a_sensor_has_no_idle_power():
    it = window(facts(cpu=ESTIMATED, gpu=MEASURED))
    fill(it, 60, gpu_w=25)
    assert (it.idle(60).cpu_w, it.idle(60).gpu_w) == (None, 25)


@pytest.mark.parametrize("stops_at_s", [0, 30, 58])
def test_a_counter_that_stands_still_is_no_idle_power(stops_at_s):
    it = window()
    for step in range(61):
        it.add(
            Look(t_s=step, others_s=0.0, service_s=0.0),
            Energies(cpu_j=10.0 * min(step, stops_at_s), gpu_j=None, ram_j=None),
        )
    assert it.idle(60, disturbed=True) is None


def test_a_counter_that_is_lost_is_no_idle_power():
    it = window()
    fill(it, 30)
    fill(it, 30, begin_s=31.0, cpu_w=None)
    assert it.idle(55) is None


@pytest.mark.parametrize(
    ("cpu", "gpu", "has"),
    [(MEASURED, ABSENT, True), (ESTIMATED, MEASURED, True), (ESTIMATED, ABSENT, False)],
)
def test_what_has_a_sensor(cpu, gpu, has):
    assert has_sensor(facts(cpu, gpu)) is has


def test_a_gpu_that_somebody_uses_is_not_idle():
    it = window(facts(gpu=MEASURED))
    fill(it, 60, gpu_w=400, gpu_used=0.3)
    assert it.idle(60) is None
    found = it.idle(60, disturbed=True)
    assert (found.gpu_w, found.gpu_utilization) == (400, pytest.approx(0.3))
    assert not is_whole(facts(gpu=MEASURED), found)


def test_the_use_of_the_gpus_is_the_mean_of_what_is_known_of_it():
    it = window(facts(gpu=MEASURED))
    fill(it, 58, gpu_w=20, gpu_used=0.0)
    fill(it, 0, begin_s=59.0, gpu_w=20)
    fill(it, 0, begin_s=60.0, gpu_w=20, gpu_used=0.6)  # as a desktop for a moment
    assert it.idle(60).gpu_utilization == pytest.approx(0.01)


def test_without_a_gpu_its_use_is_not_known():
    it = window()
    fill(it, 60)
    assert it.idle(60).gpu_utilization is None


@pytest.mark.parametrize("shown_j", [[0, 8, 7], [0, 8, -1], [5, 3, 12]])
def test_a_counter_that_fell_is_no_idle_power_however_much_it_counted_since(shown_j):
    it = window()
    for step in range(61):
        cpu_j = shown_j[step] if step < len(shown_j) else 20.0 * step
        it.add(
            Look(t_s=0.4 * step, others_s=0.0, service_s=0.0),
            Energies(cpu_j=cpu_j, gpu_j=None, ram_j=None),
        )
    assert it.idle(24, disturbed=True) is None
    assert it.idle(22).cpu_w == pytest.approx(50, rel=0.04)  # since the fall


def test_a_power_above_that_of_any_host_is_no_idle_power():
    it = window()
    fill(it, 60, cpu_w=100_001.0)
    assert it.idle(60, disturbed=True) is None
    it = window()
    fill(it, 60, cpu_w=100_000.0)
    assert it.idle(60).cpu_w == 100_000


def test_a_share_is_1_at_most():
    it = window()
    fill(it, 60, others=1.001, service=1.2, gpu_used=1.0)
    found = it.idle(60, disturbed=True)
    assert (found.others_share, found.service_share, found.gpu_utilization) == (1, 1, 1)


def test_one_sensor_without_a_figure_leaves_the_window_unfinished():
    meter = facts(gpu=MEASURED)
    it = window(meter)
    fill(it, 30, gpu_w=25)
    fill(it, 30, begin_s=31.0)
    assert it.idle(55) is None
    found = it.idle(55, disturbed=True)
    assert (found.cpu_w, found.gpu_w) == (10, None)
    assert not is_whole(meter, found)
    assert lacking(meter, found) == ("GPU",)
    assert lacking(meter, None) == ("CPU", "GPU")
    assert lacking(facts(), found) == ()
