"""Five kinds of host: the interval holds every published model, worked out here from its source.

The figures are those of the models' publications, scaled by hand: nothing of the code under test
computes what it is held against. Each file says what of it was recorded and what put together.
"""

import json
from pathlib import Path

import pytest

from app.accounting.assumptions import SETS
from app.domain.readings import HostFacts, MeterFacts, Method

HOSTS = Path(__file__).parent / "hosts"
NAMES = sorted(path.stem for path in HOSTS.glob("*.json"))
MODELLED = ("cloud_vcpu", "genoa_vm", "xeon_laptop")
SECONDS = 60.0

# SPECpower: idle low, median, high; full load low, median, high; wall watts a hardware thread
GENOA = (0.28, 0.28, 0.28, 1.26, 1.53, 1.94)
UNKNOWN = (0.22, 0.59, 1.33, 1.17, 3.24, 4.79)
SERVERS = {"cloud_vcpu": GENOA, "genoa_vm": GENOA, "xeon_laptop": UNKNOWN}
# watts of the host's share of its socket; the cloud's CPU has no TDP that anyone knows
TDP_W = {"genoa_vm": 360 * 8 / 192, "xeon_laptop": 45}
# server AC over TDP by load, p5 / median / p95; Boavizta's CPU over TDP
TDP_TABLE = {0.0: (0.11, 0.19, 0.44), 0.3: (0.29, 0.45, 0.72), 0.5: (0.38, 0.56, 0.86)}
TDP_TABLE |= {1.0: (0.74, 1.05, 1.41)}
BOAVIZTA = {0.0: 0.12, 0.3: 0.535, 0.5: 0.75, 1.0: 1.02}
LOADS = sorted(BOAVIZTA)


def recorded(name):
    """The facts of a host, and whence they come."""
    stored = json.loads((HOSTS / f"{name}.json").read_text())
    host, meter = (
        HostFacts.model_validate(stored["host"]),
        MeterFacts.model_validate(stored["meter"]),
    )
    return host, meter, stored["provenance"]


def components_w(wall_w, threads, ram_w_per_gb=0.392):
    """Wall watts of a server as those of its components: ÷ 1.33, its RAM taken off once."""
    return max(0.0, wall_w / 1.33 - threads * 0.9 * ram_w_per_gb)


def central_w(wall_w, threads, load):
    """The same of a central curve: RAM draws 0.10 W a GB when idle, and 0.392 W at full load."""
    return components_w(wall_w, threads, 0.10 + load * (0.392 - 0.10))


def specpower_w(name, host, load):
    """Low, median and high watts; in a virtual machine a vCPU may be a core of two threads.

    At little load the high curve, which takes off more RAM, may be below the median.
    """
    row = SERVERS[name]
    walls = [idle + load * (full - idle) for idle, full in zip(row[:3], row[3:], strict=True)]
    low, median, high = (wall * host.host_cpus for wall in walls)
    central = central_w(median, host.host_cpus, load)
    doubled = components_w(high, host.host_cpus) * (2 if host.virtual_machine else 1)
    return [components_w(low, host.host_cpus), central, max(central, doubled)]


def published_w(name, host, load):
    """Every published figure of the host's CPUs at a load, in watts at the components boundary."""
    cpus = host.host_cpus
    yield from specpower_w(name, host, load)
    yield components_w((0.74 + load * (3.5 - 0.74)) * cpus, cpus)  # Cloud Carbon Footprint
    if name not in TDP_W:
        yield from (12 * cpus * load, 12 * cpus / 2 * load)  # Green Algorithms: cores, threads
        yield 4 * cpus * (0.1 + 0.9 * load**3)  # codecarbon's guess
        return
    yield TDP_W[name] * load  # Green Algorithms
    yield TDP_W[name] * (0.1 + 0.9 * load**3)  # codecarbon
    yield TDP_W[name] * BOAVIZTA[load]
    low, median, high = (TDP_W[name] * share for share in TDP_TABLE[load])
    yield from (components_w(low, cpus), central_w(median, cpus, load), components_w(high, cpus))


def published_ram_w(host):
    """Cloud Carbon Footprint, Green Algorithms, Boavizta by GB; codecarbon by DIMM as stored."""
    gb = host.memory_gib * 2**30 / 1e9
    return [0.392 * gb, 0.3725 * gb, 0.284 * gb]


def run(make, name, load, chosen="codecarbon"):
    """The report of a minute on a host, with its counters as codecarbon would advance them."""
    host, meter, _ = recorded(name)
    tdp_w = meter.cpu.tdp_w
    cpu_w = 120.0 if tdp_w is None else tdp_w * (0.1 + 0.9 * load**3)
    gpu_w = 2400.0 if host.gpus else None
    readings = make.attempt(
        seconds=SECONDS,
        host=host,
        meter=meter,
        load=load,
        cpu_w=cpu_w,
        gpu_w=gpu_w,
        ram_w=meter.ram.constant_w,
        marks={},
    )
    return make.evaluate(readings, assumptions=SETS[chosen])


def test_there_are_five_kinds_and_each_says_whence_it_comes():
    assert len(NAMES) == 5
    for name in NAMES:
        assert recorded(name)[2].startswith(("Recorded in", "Put together, not recorded"))


@pytest.mark.parametrize("chosen", SETS)
@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("name", MODELLED)
def test_the_interval_holds_every_published_model_at_the_hosts_share(make, name, load, chosen):
    host, _, _ = recorded(name)
    cpu = run(make, name, load, chosen).energy.cpu
    published_j = [SECONDS * watts for watts in published_w(name, host, load)]
    assert cpu.low_j == pytest.approx(min(published_j))
    assert cpu.high_j == pytest.approx(max(published_j))


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("name", MODELLED)
def test_specpowers_central_figure_is_its_median_and_lies_inside(make, name, load):
    host, _, _ = recorded(name)
    cpu = run(make, name, load, "specpower").energy.cpu
    assert cpu.energy_j == pytest.approx(SECONDS * specpower_w(name, host, load)[1], abs=1e-9)
    assert cpu.energy_j > 0
    assert cpu.low_j <= cpu.energy_j <= cpu.high_j


@pytest.mark.parametrize("name", NAMES)
def test_ram_holds_every_published_rate(make, name):
    host, meter, _ = recorded(name)
    ram = run(make, name, 1.0).energy.ram
    published_j = [SECONDS * w for w in (*published_ram_w(host), meter.ram.constant_w)]
    assert ram.low_j <= min(published_j)
    assert ram.high_j >= max(published_j)
    assert run(make, name, 1.0, "specpower").energy.ram.energy_j == pytest.approx(published_j[0])


@pytest.mark.parametrize(
    ("name", "excluded"),
    [
        ("cloud_vcpu", []),  # a guess by thread holds the share already
        ("genoa_vm", [("codecarbon, whole socket", 360 * SECONDS)]),
        ("xeon_laptop", []),  # it has its socket whole
        ("desktop_rapl", []),
        ("gpu_server", []),
    ],
)
def test_a_whole_socket_that_is_billed_to_a_part_of_it_is_listed_as_excluded(make, name, excluded):
    cpu = run(make, name, 1.0).energy.cpu
    assert [(model.name, model.energy_j) for model in cpu.excluded] == [
        (model, pytest.approx(joules)) for model, joules in excluded
    ]
    assert all(model.energy_j > cpu.high_j for model in cpu.excluded)


@pytest.mark.parametrize("chosen", SETS)
@pytest.mark.parametrize(
    ("name", "component", "watts", "error"),
    [
        ("desktop_rapl", "cpu", 120.0, 0.05),
        ("gpu_server", "cpu", 120.0, 0.05),
        ("gpu_server", "gpu", 2400.0, 0.15),  # NVML samples an H100 a quarter of the time
    ],
)
def test_a_sensor_is_what_it_is_under_each_set(make, name, component, watts, error, chosen):
    found = getattr(run(make, name, 0.5, chosen).energy, component)
    assert found.method is Method.MEASURED
    assert (found.low_j, found.energy_j, found.high_j) == pytest.approx(
        tuple(SECONDS * watts * factor for factor in (1 - error, 1, 1 + error))
    )


@pytest.mark.parametrize(
    ("name", "grade"),
    [
        ("cloud_vcpu", "D"),
        ("genoa_vm", "C"),
        ("xeon_laptop", "C"),
        ("desktop_rapl", "B"),
        ("gpu_server", "B"),
    ],
)
def test_the_grade_is_what_the_readme_says_of_such_a_host(make, name, grade):
    assert run(make, name, 0.5).trust.grade == grade
