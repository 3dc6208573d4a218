"""Component intervals by hand for four kinds of host, and components without a figure."""

import pytest

from app.accounting.assumptions import DEFAULT
from app.accounting.components import parts
from app.domain.readings import Method, Sensor

RAPL = {"method": "measured", "source": "codecarbon intel_rapl"}
NVML = {"method": "measured", "source": "codecarbon gpu energy counter"}


def _parts(readings):
    return parts(readings, DEFAULT)


def _ends(part):
    return (part.component.low_j, part.component.energy_j, part.component.high_j)


@pytest.mark.parametrize(
    ("gpus", "seconds", "source", "error"),
    [
        (("NVIDIA H100 80GB HBM3",), 20.0, NVML["source"], 0.15),
        (("NVIDIA A100-SXM4-40GB",), 20.0, NVML["source"], 0.15),
        (("NVIDIA GeForce RTX 4090",), 20.0, NVML["source"], 0.05),
        (("NVIDIA GeForce RTX 4090",), 9.5, NVML["source"], 0.15),
        (("Tesla P4",), 20.0, "codecarbon gpu power samples", 0.15),
    ],
)
def test_nvml(make, gpus, seconds, source, error):
    gpu = make.component(method="measured", source=source)
    found = _parts(
        make.attempt(
            host=make.host(gpus=gpus), meter=make.meter(gpu=gpu), gpu_w=100.0, seconds=seconds
        )
    ).gpu
    joules = 100 * seconds
    assert _ends(found) == pytest.approx((joules * (1 - error), joules, joules * (1 + error)))


def test_gpu_of_which_only_the_tdp_is_known(attempt, meter, component):
    gpu = component(method="assumed", tdp_w=300)
    found = _parts(attempt(meter=meter(gpu=gpu))).gpu
    assert _ends(found) == pytest.approx((2400.0, 4200.0, 6000.0))
    assert (found.component.method, found.raw_j) == (Method.ASSUMED, None)
    assert found.codes == ("gpu_power_assumed",)
    assert found.component.source == "0.7 of the TDP"


def test_a_gpu_without_sensor_beside_one_with_a_counter(make):
    gpu = make.component(
        method="assumed", source=NVML["source"], tdp_w=300, reason="GPU 1: nothing is readable"
    )
    readings = make.attempt(meter=make.meter(gpu=gpu), gpu_w=100.0)
    found = _parts(readings).gpu
    # 2000 J ± 5 % of the one; 0.4, 0.7, 1.0 × 300 W × 20 s of the other
    assert _ends(found) == pytest.approx((4300.0, 6200.0, 8100.0))
    assert (found.raw_j, found.joules[0]) == (pytest.approx(2000.0), 0.0)
    assert found.component.source == f"{NVML['source']}; 0.7 of the TDP of devices without a sensor"
    assert found.component.reason == "GPU 1: nothing is readable"


def test_unavailable_has_no_figure_and_its_reason(attempt, meter, component):
    cpu = component(method="unavailable", reason="no permission")
    found = _parts(attempt(meter=meter(cpu=cpu), cpu_w=None)).cpu
    assert (found.component.energy_j, found.component.reason) == (None, "no permission")
    assert (found.joules, found.raw_j, found.codes) == (None, None, ("cpu_unavailable",))


def test_a_counter_that_goes_backwards(attempt):
    readings = attempt()
    items = list(readings.readings)
    items[5] = items[5].model_copy(update={"cpu_j": 0.0})
    found = _parts(readings.model_copy(update={"readings": tuple(items)})).cpu
    assert (found.component.method, found.codes) == (Method.UNAVAILABLE, ("counter_jumped",))
    assert found.raw_j == pytest.approx(160.0)


def test_a_counter_that_ends_below_its_start_has_no_raw_joules(attempt):
    readings = attempt()
    last = readings.readings[-1].model_copy(update={"cpu_j": 0.0})
    items = (*readings.readings[:-1], last)
    assert _parts(readings.model_copy(update={"readings": items})).cpu.raw_j is None


def test_a_sensor_that_stops(attempt, meter, component):
    found = _parts(attempt(meter=meter(cpu=component(**RAPL)), cpu_w=0.0)).cpu
    assert (found.component.energy_j, found.codes) == (None, ("counter_stopped",))


@pytest.mark.parametrize(("seconds", "known"), [(0.29, False), (0.3, True)])
def test_too_short(attempt, seconds, known):
    found = _parts(attempt(seconds=seconds, step_s=seconds))
    assert (found.cpu.component.energy_j is not None) is known
    assert ("too_short" in found.cpu.codes) is not known
    assert found.gpu.component.method is Method.ABSENT


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (lambda t: 9.0 + 20 * min(t, 30.0), "counter_stopped"),
        (lambda t: None if t > 30 else 9.0 + 20 * t, "counter_lost"),
        (lambda t: 9.0 + 20 * t - (500 if t > 30 else 0), "counter_jumped"),
    ],
)
@pytest.mark.parametrize("component", ["cpu", "gpu"])
def test_a_faulty_sensor_behind_a_sum_that_goes_on(make, fault, code, component):
    sensors = (
        Sensor(name="one", component=component),
        Sensor(name="the other", component=component),
    )
    meter = make.meter(**{component: make.component(**RAPL)}, sensors=sensors)
    whole = make.attempt(meter=meter, cpu_w=50.0, gpu_w=50.0, seconds=60.0)
    sound = make.changed(whole, lambda r: {"sensors_j": (30 * r.t_s, 9.0 + 20 * r.t_s)})
    assert getattr(_parts(sound), component).component.energy_j == pytest.approx(3000)
    faulty = make.changed(whole, lambda r: {"sensors_j": (30 * r.t_s, fault(r.t_s))})
    found = getattr(_parts(faulty), component)
    assert (found.component.energy_j, found.component.method) == (None, Method.UNAVAILABLE)
    assert found.codes == (code,)
    assert found.component.reason.startswith("the other: ")


def test_a_sensor_that_another_component_has_is_not_its_own(measured, changed):
    readings = measured()
    gpu = readings.meter.sensors[1].model_copy(update={"component": "gpu"})
    meter = readings.meter.model_copy(update={"sensors": (readings.meter.sensors[0], gpu)})
    frozen = changed(readings, lambda r: {"sensors_j": (30 * r.t_s, 9.0)})
    assert _parts(frozen.model_copy(update={"meter": meter})).cpu.joules is not None


@pytest.mark.parametrize(
    ("source", "known"), [(NVML["source"], True), ("codecarbon gpu power samples", False)]
)
def test_a_gap_is_filled_where_a_counter_went_on_and_not_in_a_sum_of_samples(make, source, known):
    gpu = make.component(method="measured", source=source)
    whole = make.attempt(meter=make.meter(gpu=gpu), gpu_w=100.0)
    gap = make.changed(whole, lambda r: {"gpu_j": None} if r.t_s == 7.0 else {})
    found = _parts(gap).gpu
    assert (found.component.energy_j is not None) is known
    assert found.codes == (() if known else ("counter_lost",))


def test_a_sensors_idle_power_is_that_of_the_window(measured, make):
    found = _parts(measured(idle=make.idle(cpu_w=20.0))).cpu
    assert found.idle_w == 20.0
    # (50 − 20) W × 60 s, ± 5 %: both readings are off by the same factor
    assert found.net_j == pytest.approx((1800 * 0.95, 1800 * 1.05))


def test_where_the_sum_stepped_back_the_sensor_that_did_is_named(measured, changed):
    """As the meter has it: after a loss, the sensor and the sum begin anew below all before."""
    readings = changed(
        measured(),
        lambda r: {
            "cpu_j": 50 * r.t_s - (10_000 if r.t_s > 30 else 0),
            "sensors_j": (30 * r.t_s, 20 * r.t_s - (10_000 if r.t_s > 30 else 0)),
        },
    )
    found = _parts(readings).cpu
    assert found.codes == ("counter_jumped",)
    assert found.component.reason == "package-1: the counter went backwards"
