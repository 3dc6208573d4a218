"""The CPU: sensor, published models at its share, what a user knows, and what is central."""

import pytest

from app.accounting.assumptions import DEFAULT, SETS
from app.accounting.components import parts
from app.domain.readings import KnownFacts, Method

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
SPECPOWER = SETS["specpower"]


def _parts(readings):
    return parts(readings, DEFAULT)


def _ends(part):
    return (part.component.low_j, part.component.energy_j, part.component.high_j)


def _known(**facts):
    return {"known": KnownFacts(**facts)}


def _models_of(part):
    return set(part.component.models)


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
    assert names == [
        "Green Algorithms, whole socket",
        "TDP × load table, whole socket",
        "Boavizta, whole socket",
    ]
    assert _models_of(found).isdisjoint({"TDP × load table"})


@pytest.mark.parametrize(("vendor", "error"), [("GenuineIntel", 0.05), ("AuthenticAMD", 0.10)])
def test_rapl(make, vendor, error):
    desktop = make.host(cpu_vendor=vendor, virtual_machine=False)
    found = _parts(
        make.attempt(host=desktop, meter=make.meter(cpu=make.component(**RAPL)), cpu_w=50.0)
    ).cpu
    assert _ends(found) == pytest.approx((1000 * (1 - error), 1000, 1000 * (1 + error)))
    assert (found.component.interval, found.component.method) == ("sensor_error", Method.MEASURED)
    assert (found.idle_w, found.codes) == (None, ())


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


def test_a_known_tdp_takes_the_place_of_a_guess(attempt, host):
    """Two of 192 threads of 360 W; the guess of 8 W was billed."""
    guest = host(**_known(cpu_tdp_w=360, socket_threads=192))
    found = _parts(attempt(host=guest, cpu_w=8.0)).cpu
    (correction,) = found.component.corrections
    assert (correction.name, correction.factor) == ("known_tdp", pytest.approx(3.75 / 8))
    assert "TRAINWATT_CPU_TDP_W" in correction.message
    assert found.component.energy_j == pytest.approx(3.75 * 20)
    assert found.component.method is Method.ESTIMATED
    assert found.codes == ("cpu_power_modelled",)
    assert found.idle_w == pytest.approx(0.375)
    # the models by TDP take the place of Green Algorithms' 12 W a core
    assert found.component.models["Green Algorithms"].energy_j == pytest.approx(3.75 * 20)
    assert found.component.models["Boavizta"].energy_j == pytest.approx(1.02 * 3.75 * 20)


def test_a_known_tdp_is_billed_for_every_socket_and_scaled_to_the_share(make):
    """Two sockets of 240 W are billed for 2 CPUs of 256 threads; it is 280 W a socket."""
    cpu = make.component(method="estimated", source="codecarbon cpu_load", tdp_w=480, sockets=2)
    guest = make.host(cpu_model="AMD EPYC 7B12", **_known(cpu_tdp_w=280))
    found = _parts(make.attempt(host=guest, meter=make.meter(cpu=cpu), cpu_w=480.0)).cpu
    names = [correction.name for correction in found.component.corrections]
    assert names == ["known_tdp", "socket_share"]
    assert found.component.energy_j == pytest.approx(560 * 2 / 256 * 20)


@pytest.mark.parametrize(
    ("cpu", "known", "watts"),
    [
        # a desktop of 65 W that is run at 45 W
        ({"tdp_w": 65, "sockets": 1}, {"cpu_tdp_w": 45}, 45),
        # a guess for 16 threads that is billed for two sockets
        ({"tdp_w": 128, "tdp_guessed": True, "sockets": 2}, {"cpu_tdp_w": 100}, 200),
        # 85 W for an unknown machine that has two sockets of 8 threads
        ({"tdp_w": 85, "tdp_guessed": True}, {"cpu_tdp_w": 100, "socket_threads": 8}, 200),
        ({"tdp_w": 85, "tdp_guessed": True}, {"cpu_tdp_w": 100}, 100),
    ],
)
def test_a_known_tdp_of_a_bare_machine(make, cpu, known, watts):
    facts = make.component(method="estimated", source="codecarbon cpu_load", **cpu)
    metal = make.host(virtual_machine=False, host_cpus=16, cpu_model="odd", **_known(**known))
    found = _parts(make.attempt(host=metal, meter=make.meter(cpu=facts), cpu_w=cpu["tdp_w"])).cpu
    assert found.component.energy_j == pytest.approx(watts * 20)


def test_a_known_tdp_without_the_share_of_a_guest_changes_nothing(attempt, host):
    guest = host(**_known(cpu_tdp_w=360))
    assert _parts(attempt(host=guest)).cpu == _parts(attempt()).cpu


def test_socket_threads_give_the_share_where_the_table_has_none(make):
    cpu = make.component(method="estimated", source="codecarbon cpu_load", tdp_w=170, sockets=1)
    guest = make.host(cpu_model="AMD EPYC 4564P", cpu_model_number=97, **_known(socket_threads=32))
    found = _parts(make.attempt(host=guest, meter=make.meter(cpu=cpu), cpu_w=170.0)).cpu
    assert found.component.energy_j == pytest.approx(170 / 16 * 20)
    assert found.codes == ("cpu_power_modelled",)


def test_whole_cores_are_two_threads_each_in_share_and_models(make):
    cpu = make.component(method="estimated", source="codecarbon cpu_load", tdp_w=360, sockets=1)
    name = "AMD EPYC 9654 96-Core Processor"

    def found(is_core):
        guest = make.host(cpu_model=name, **_known(vcpu_is_core=is_core))
        return _parts(make.attempt(host=guest, meter=make.meter(cpu=cpu), cpu_w=360.0)).cpu

    unsaid, threads, cores = found(None), found(False), found(True)
    row = "SPECpower, EPYC 9xx4 (Genoa)"
    one, two = threads.component.models[row], cores.component.models[row]
    assert (two.low_j, two.energy_j, two.high_j) == pytest.approx(
        (2 * one.low_j, 2 * one.energy_j, 2 * one.high_j)
    )
    assert unsaid.component.models[row].high_j == pytest.approx(2 * one.high_j)
    assert unsaid.component.energy_j == threads.component.energy_j
    assert cores.component.energy_j == pytest.approx(2 * threads.component.energy_j)


def test_what_is_known_of_a_cpu_leaves_its_sensor_alone(make):
    known = _known(cpu_tdp_w=35, socket_threads=2, cpu_generation="naples")
    metal = make.host(virtual_machine=False, **known)
    meter = make.meter(cpu=make.component(**RAPL))
    plain = make.host(virtual_machine=False)
    found = [_parts(make.attempt(host=h, meter=meter, cpu_w=50.0)).cpu for h in (metal, plain)]
    assert found[0] == found[1]


def test_specpower_is_central_at_the_observed_load(attempt):
    found = parts(attempt(load=0.5), SPECPOWER)
    # two threads at (0.28 + 1.53) / 2 W ÷ 1.33, less 0.9 GB × (0.10 + 0.392) / 2 W each
    assert found.cpu.component.energy_j == pytest.approx(2 * (0.905 / 1.33 - 0.9 * 0.246) * 20)
    assert found.cpu.component.source == "SPECpower, EPYC 9xx4 (Genoa)"
    assert found.cpu.component.corrections == ()
    assert found.cpu.codes == ("cpu_power_modelled",)
    assert found.cpu.idle_w == pytest.approx(2 * (0.28 / 1.33 - 0.09))
    assert found.cpu.raw_j == pytest.approx(160.0)
    assert found.ram.component.energy_j == pytest.approx(0.392 * 24 * 2**30 / 1e9 * 20)
    assert found.ram.idle_w == pytest.approx(0.392 * 24 * 2**30 / 1e9)
    assert found.ram.component.source == "0.392 W/GB"


def test_the_interval_is_the_same_whatever_is_central(attempt):
    one, two = (parts(attempt(), chosen) for chosen in SETS.values())
    for before, after in ((one.cpu, two.cpu), (one.ram, two.ram)):
        assert before.component.models == after.component.models
        assert _ends(before)[0::2] == _ends(after)[0::2]
        assert before.net_j == after.net_j or before is one.ram


def test_specpower_follows_the_load_between_readings(attempt, changed):
    """Idle for 10 s, then full load for 10 s."""
    readings = changed(attempt(), lambda r: {"host_busy_s": 2 * max(0.0, r.t_s - 10)})
    joules = parts(readings, SPECPOWER).cpu.joules
    idle_w, full_w = 2 * (0.28 / 1.33 - 0.09), 2 * (1.53 / 1.33 - 0.3528)
    assert joules[20] == pytest.approx(10 * idle_w)
    assert joules[30] == pytest.approx(10 * idle_w + 5 * full_w)
    assert joules[-1] == pytest.approx(10 * idle_w + 10 * full_w)


def test_specpower_of_an_unknown_cpu_rests_on_servers_in_general(attempt, host):
    unknown = host(cpu_model="odd", cpu_family=None, cpu_model_number=None)
    found = parts(attempt(host=unknown), SPECPOWER).cpu
    assert found.codes == ("cpu_generation_unknown",)
    assert found.component.source == "SPECpower, unknown CPU"


def test_without_any_load_codecarbons_figure_stays(attempt):
    found = parts(attempt(load=None), SPECPOWER).cpu
    assert (found.component.energy_j, found.component.source) == (160.0, "codecarbon cpu_load")
    assert (found.codes, found.idle_w) == (("cpu_power_guessed",), pytest.approx(0.8))


def test_specpower_leaves_a_sensor_alone(measured):
    assert parts(measured(), SPECPOWER) == _parts(measured())


def test_a_socket_that_is_left_out_is_named_and_the_rest_still_counts(measured):
    readings = measured()
    meter = readings.meter.model_copy(update={"left_out": ("package-1",)})
    found = _parts(readings.model_copy(update={"meter": meter})).cpu
    assert found.component.energy_j == pytest.approx(3000)
    assert (found.partial, found.codes) == (True, ("sensor_left_out",))
    assert "package-1" in found.component.reason
