"""Component intervals by hand for four kinds of host, and components without a figure."""

import pytest

from app.accounting.assumptions import DEFAULT
from app.accounting.components import parts
from app.domain.readings import Method

XEON = {
    "cpu_vendor": "GenuineIntel",
    "cpu_model": "Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz",
    "cpu_family": 6,
    "cpu_model_number": 85,
    "logical_cpus": 8,
    "host_cpus": 8,
    "memory_gib": 32,
}
RAPL = {"method": "measured", "source": "codecarbon intel_rapl"}
NVML = {"method": "measured", "source": "codecarbon gpu energy counter"}


def _parts(readings):
    return parts(readings, DEFAULT)


def _ends(part):
    return (part.component.low_j, part.component.energy_j, part.component.high_j)


def test_genoa_guest_of_guessed_tdp(attempt):
    found = _parts(attempt())
    cpu = found.cpu.component
    # 20 s of SPECpower's p10 (1.18914 W), codecarbon's 8 W, Green Algorithms' 2 × 12 W
    assert _ends(found.cpu) == pytest.approx((23.7827, 160.0, 480.0), rel=1e-5)
    assert (cpu.method, cpu.interval, cpu.corrections) == (
        Method.ESTIMATED,
        "published_models",
        (),
    )
    assert cpu.models["codecarbon"].energy_j == 160.0
    assert cpu.models["Cloud Carbon Footprint"].energy_j == pytest.approx(91.1512, rel=1e-5)
    assert found.cpu.codes == ("cpu_power_guessed",)
    assert found.cpu.idle_w == pytest.approx(0.8)
    # 25.77 GB × 0.10 W × 20 s; 0.83 W/GiB give 398.4 J, less than codecarbon's own
    assert _ends(found.ram) == pytest.approx((51.5396, 400.0, 400.0), rel=1e-5)
    assert found.ram.component.method is Method.ASSUMED
    assert found.gpu.component.method is Method.ABSENT
    assert found.gpu.component.energy_j is None


def test_neither_tdp_nor_generation_known_is_assumed(attempt, host):
    unknown = host(cpu_model="Neoverse-N1", cpu_family=None, cpu_model_number=None)
    assert _parts(attempt(host=unknown)).cpu.component.method is Method.ASSUMED


def test_xeon_guest_of_known_tdp(attempt, host, meter, component):
    cpu = component(method="estimated", source="codecarbon cpu_load", tdp_w=210)
    readings = attempt(host=host(**XEON), meter=meter(cpu=cpu), cpu_w=210.0)
    found = _parts(readings).cpu
    # 8 of 48 threads: 35 W; SPECpower's p10 16.36557 W and twice its p90, 48.00933 W
    assert _ends(found) == pytest.approx((327.3113, 700.0, 960.1865), rel=1e-5)
    correction = found.component.corrections[0]
    assert (correction.name, correction.factor) == ("socket_share", pytest.approx(1 / 6))
    excluded = found.component.excluded[0]
    assert (excluded.name, excluded.energy_j) == ("codecarbon, whole socket", 4200.0)
    assert found.component.models["TDP × load table"].energy_j == pytest.approx(496.1806, rel=1e-5)
    assert found.raw_j == 4200.0
    assert found.idle_w == pytest.approx(3.5)
    assert found.codes == ("cpu_power_modelled",)
    assert found.joules[-1] == found.component.energy_j


def test_a_guest_of_unknown_share_keeps_the_whole_socket_and_says_so(
    attempt, host, meter, component
):
    cpu = component(method="estimated", source="codecarbon cpu_load", tdp_w=170)
    guest = host(cpu_model="AMD EPYC 4564P", cpu_model_number=97)
    found = _parts(attempt(host=guest, meter=meter(cpu=cpu), cpu_w=170.0)).cpu
    assert found.component.energy_j == found.component.high_j == 3400.0
    assert found.component.corrections == ()
    assert "socket_share_unknown" in found.codes
    names = [model.name for model in found.component.excluded]
    assert names == ["Green Algorithms, whole socket", "TDP × load table, whole socket"]
    assert models_of(found).isdisjoint({"TDP × load table"})


def models_of(part):
    return set(part.component.models)


@pytest.mark.parametrize(("vendor", "error"), [("GenuineIntel", 0.05), ("AuthenticAMD", 0.10)])
def test_rapl(make, vendor, error):
    desktop = make.host(cpu_vendor=vendor, virtual_machine=False)
    found = _parts(
        make.attempt(host=desktop, meter=make.meter(cpu=make.component(**RAPL)), cpu_w=50.0)
    ).cpu
    assert _ends(found) == pytest.approx((1000 * (1 - error), 1000, 1000 * (1 + error)))
    assert (found.component.interval, found.component.method) == ("sensor_error", Method.MEASURED)
    assert (found.idle_w, found.codes) == (None, ())


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


@pytest.mark.parametrize("virtual", [True, False])
def test_a_guess_is_billed_once_and_not_for_every_socket(make, virtual):
    """A machine that shows one socket for each of its 16 vCPUs: 4 W × 16 threads × 16."""
    cpu = make.component(
        method="estimated", source="codecarbon cpu_load", tdp_w=1024, tdp_guessed=True, sockets=16
    )
    host = make.host(host_cpus=16, logical_cpus=16, virtual_machine=virtual)
    found = _parts(make.attempt(host=host, meter=make.meter(cpu=cpu), cpu_w=1024.0)).cpu
    assert found.component.energy_j == pytest.approx(64 * 20)
    assert found.component.models["codecarbon"].energy_j == found.component.energy_j
    assert found.component.high_j < 1024 * 20
    (correction,) = found.component.corrections
    assert (correction.name, correction.factor) == ("guess_per_socket", 1 / 16)
    assert "16 sockets" in correction.message
    assert found.joules[-1] == found.component.energy_j
    assert (found.raw_j, found.idle_w) == (pytest.approx(1024 * 20), pytest.approx(6.4))
    (excluded,) = found.component.excluded
    assert excluded.name == "codecarbon, guess for every socket"
    assert excluded.energy_j == pytest.approx(1024 * 20)


@pytest.mark.parametrize(
    "changes",
    [
        {"tdp_guessed": True, "sockets": 1},
        {"tdp_guessed": True, "sockets": None},
        {"tdp_guessed": False, "sockets": 2},
    ],
)
def test_one_socket_or_a_known_tdp_needs_no_correction_of_a_guess(make, changes):
    cpu = make.component(method="estimated", source="codecarbon cpu_load", tdp_w=130, **changes)
    metal = make.host(virtual_machine=False)
    found = _parts(make.attempt(host=metal, meter=make.meter(cpu=cpu), cpu_w=130.0)).cpu
    assert (found.component.energy_j, found.component.corrections) == (2600.0, ())


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
