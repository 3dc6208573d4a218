"""Generations by vendor, family, model number and name; shares of a socket."""

import pytest

from app.accounting import assumptions as a
from app.accounting import processors
from app.domain.readings import KnownFacts, Sensor

AMD, INTEL = "AuthenticAMD", "GenuineIntel"


@pytest.mark.parametrize(
    ("vendor", "name", "numbers", "expected"),
    [
        (AMD, "AMD EPYC", (25, 17), a.GENOA),
        (AMD, "AMD EPYC 9R14", (25, 17), a.GENOA),
        (AMD, "AMD EPYC 9754 128-Core Processor", (25, 160), a.GENOA),
        (AMD, "AMD EPYC 7601 32-Core Processor", (23, 1), a.NAPLES),
        (AMD, "AMD EPYC 7B12", (23, 49), a.ROME),
        (AMD, "AMD EPYC 7R13 Processor", (25, 1), a.MILAN),
        (AMD, "AMD EPYC 9965 192-Core Processor", (26, 17), a.TURIN),
        (AMD, "AMD EPYC 4564P 16-Core Processor", (25, 97), None),
        (AMD, "AMD Ryzen Threadripper PRO 5995WX", (25, 8), None),
        (AMD, "AMD Ryzen 9 7950X", (25, 97), None),
        (INTEL, "Intel(R) Xeon(R) CPU @ 2.00GHz", (6, 85), a.SKYLAKE),
        (INTEL, "Intel(R) Core(TM) i9-7900X CPU @ 3.30GHz", (6, 85), None),
        (INTEL, "Intel(R) Xeon(R) CPU @ 2.60GHz", (6, 106), a.ICE_LAKE),
        (INTEL, "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", (6, 143), a.SAPPHIRE_RAPIDS),
        (INTEL, "INTEL(R) XEON(R) PLATINUM 8581C CPU @ 2.10GHz", (6, 207), a.EMERALD_RAPIDS),
        (INTEL, "Intel(R) Xeon(R) Platinum 8592+", (6, 207), a.EMERALD_RAPIDS),
        (INTEL, "Intel(R) Xeon(R) 6972P", (6, 173), a.XEON_6),
        (INTEL, "Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz", (6, 79), None),
        (INTEL, "Intel(R) Xeon(R) 6369P", (6, 183), None),
        ("ARM", "Neoverse-N1", (None, None), None),
        (None, None, (None, None), None),
        # by name alone
        (None, "AMD EPYC 7763 64-Core Processor", (None, None), a.MILAN),
        (None, "AMD EPYC-Rome Processor", (None, None), a.ROME),
        (None, "AMD EPYC 9654P", (None, None), a.GENOA),
        (None, "AMD EPYC 9554", (None, None), a.GENOA),
        (None, "AMD EPYC 9575F", (None, None), a.TURIN),
        (None, "Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz", (None, None), a.SKYLAKE),
        (None, "Intel Xeon Processor (Cascadelake)", (None, None), a.SKYLAKE),
        (None, "Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", (None, None), a.ICE_LAKE),
        (None, "Intel(R) Xeon(R) Platinum 8380H CPU @ 2.90GHz", (None, None), None),
        (None, "Intel(R) Xeon(R) Gold 6430", (None, None), a.SAPPHIRE_RAPIDS),
        (None, "Intel(R) Xeon(R) 6369P", (None, None), None),
        # a virtual machine's name that says nothing, or a client's
        (AMD, None, (25, 17), a.GENOA),
        (AMD, "QEMU Virtual CPU version 2.5+", (25, 1), a.MILAN),
        (AMD, "AMD Processor", (26, 2), a.TURIN),
        (INTEL, "Intel Xeon Processor", (6, 106), a.ICE_LAKE),
        (INTEL, "Intel(R) Xeon(R) CPU @ 2.20GHz", (6, 79), None),
        (INTEL, "", (6, 143), a.SAPPHIRE_RAPIDS),
        (INTEL, "Common KVM processor", (15, 6), None),
        (AMD, "AMD Ryzen Threadripper PRO 7995WX", (25, 24), None),
    ],
)
def test_generation(host, vendor, name, numbers, expected):
    family, model = numbers
    facts = host(cpu_vendor=vendor, cpu_model=name, cpu_family=family, cpu_model_number=model)
    assert processors.generation(facts) == expected


@pytest.mark.parametrize(
    ("name", "threads"),
    [
        ("AMD EPYC 7B12", 128),
        ("AMD EPYC 7702P 64-Core Processor", 128),
        ("AMD EPYC 7R13 Processor", 96),
        ("AMD EPYC 9654 96-Core Processor", 192),
        ("Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz", 48),
        ("Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz", 36),
        ("Intel(R) Xeon(R) Platinum 8480+", 112),
        ("Intel(R) Xeon(R) 6972P", None),
        ("AMD EPYC 9965 192-Core Processor", None),
        ("AMD EPYC", None),
        ("AMD EPYC 9R14", None),
        ("Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz", None),
        (None, None),
    ],
)
def test_socket(host, name, threads):
    found = processors.socket_of(host(cpu_model=name))
    assert (found.threads if found else None) == threads


@pytest.mark.parametrize(
    ("changes", "tdp_w", "share"),
    [
        ({"cpu_model": "AMD EPYC 7B12"}, 240.0, 2 / 128),
        ({"cpu_model": "AMD EPYC 7B12"}, 480.0, 2 / 256),  # two sockets are shown, two are billed
        ({"cpu_model": "AMD EPYC 7B12", "host_cpus": 128}, 240.0, 1.0),
        ({"cpu_model": "AMD EPYC 7B12", "virtual_machine": False}, 240.0, 1.0),
        ({"cpu_model": "AMD EPYC 4564P"}, 170.0, None),
    ],
)
def test_socket_share(host, component, changes, tdp_w, share):
    facts = component(method="estimated", tdp_w=tdp_w)
    assert processors.socket_share(host(**changes), facts) == share


def test_a_guess_by_thread_needs_no_share(host, component):
    assert processors.socket_share(host(), component(tdp_w=8, tdp_guessed=True)) == 1.0


def test_a_bare_machine_without_a_name_is_not_taken_for_a_server(host):
    assert processors.generation(host(cpu_model="AMD Processor", virtual_machine=False)) is None


@pytest.mark.parametrize(("slug", "label"), a.GENERATIONS.items())
def test_a_generation_that_the_user_knows_comes_first(host, slug, label):
    assert processors.generation(host(known=KnownFacts(cpu_generation=slug))) == label


@pytest.mark.parametrize(
    ("name", "virtual", "expected"),
    [
        ("12th Gen Intel(R) Core(TM) i7-12700", False, True),
        ("AMD Ryzen 9 7950X 16-Core Processor", False, True),
        ("Intel(R) Core(TM) Ultra 7 155H", False, True),
        ("AMD EPYC 9654 96-Core Processor", False, False),
        ("Intel(R) Xeon(R) E-2286M  CPU @ 2.40GHz", False, False),
        ("Intel Core Processor (Haswell, no TSX)", True, False),
        (None, False, False),
    ],
)
def test_cpus_of_no_server(host, name, virtual, expected):
    assert processors.of_a_client(host(cpu_model=name, virtual_machine=virtual)) is expected


@pytest.mark.parametrize(
    ("known", "changes", "facts", "share"),
    [
        ({"socket_threads": 64}, {}, {"tdp_w": 170.0, "sockets": 1}, 2 / 64),
        ({"socket_threads": 64}, {}, {"tdp_w": 340.0, "sockets": 2}, 2 / 128),
        ({"vcpu_is_core": True}, {"cpu_model": "AMD EPYC 7B12"}, {"tdp_w": 240.0}, 4 / 128),
        ({"vcpu_is_core": False}, {"cpu_model": "AMD EPYC 7B12"}, {"tdp_w": 240.0}, 2 / 128),
        ({"socket_threads": 64}, {"virtual_machine": False}, {"tdp_w": 170.0, "sockets": 1}, 1.0),
    ],
)
def test_the_share_by_what_the_user_knows(host, component, known, changes, facts, share):
    found = host(known=KnownFacts(**known), **changes)
    assert processors.socket_share(found, component(method="estimated", **facts)) == share


RAPL = {"method": "measured", "source": "codecarbon intel_rapl"}
GUESS = {"method": "estimated", "source": "codecarbon cpu_load", "tdp_guessed": True}
METAL = {"virtual_machine": False, "host_cpus": 224}


def _contradiction(make, known, cpu=None, sensors=(), **changes):
    facts = make.component(**(cpu or GUESS | {"tdp_w": 8, "sockets": 1}))
    meter = make.meter(cpu=facts, sensors=sensors)
    return processors.contradiction(make.host(known=KnownFacts(**known), **changes), meter)


@pytest.mark.parametrize(
    ("known", "changes", "words"),
    [
        ({"cpu_generation": "ice-lake"}, {}, ["ice-lake", "AuthenticAMD", "of this vendor"]),
        (
            {"cpu_generation": "milan"},
            {"cpu_vendor": "GenuineIntel"},
            ["milan", "GenuineIntel", "leave it out"],
        ),
        ({"vcpu_is_core": True}, METAL, ["VCPU_IS_CORE", "leave it out"]),
        ({"vcpu_is_core": False}, METAL, ["VCPU_IS_CORE", "leave it out"]),
        ({"socket_threads": 1}, {}, ["SOCKET_THREADS is 1", "2 CPUs on 1 socket:", "at least 2"]),
        (
            {"socket_threads": 3, "vcpu_is_core": True},
            {},
            ["cores by TRAINWATT_VCPU_IS_CORE", "4 threads", "at least 4"],
        ),
        ({"cpu_tdp_w": 200}, {}, ["CPU_TDP_W is 200 W", "set TRAINWATT_SOCKET_THREADS too"]),
        (
            {"cpu_tdp_w": 480},
            {"cpu_model": "AMD EPYC 7B12"},
            ["480 W", "has 240 W", "one whole socket"],
        ),
        ({"cpu_tdp_w": 3.75}, {"cpu_model": "AMD EPYC 7B12"}, ["3.75 W", "has 240 W"]),
    ],
)
def test_what_cannot_be_is_said_with_what_to_do(make, known, changes, words):
    told = _contradiction(make, known, **changes)
    assert told is not None
    assert "TRAINWATT_" in told
    assert [word for word in words if word not in told] == []


@pytest.mark.parametrize(
    ("known", "changes"),
    [
        ({}, {}),
        ({"cpu_generation": "milan"}, {}),  # a hypervisor may show another model
        ({"cpu_generation": "milan"}, {"cpu_vendor": None}),
        ({"vcpu_is_core": True}, {}),
        # not x86: whether a hypervisor is below is not known for sure
        ({"vcpu_is_core": True}, METAL | {"cpu_vendor": None, "cpu_model": None}),
        ({"socket_threads": 2}, {}),
        ({"socket_threads": 4, "vcpu_is_core": True}, {}),
        ({"cpu_tdp_w": 200, "socket_threads": 128}, {}),
        ({"cpu_tdp_w": 200}, {"virtual_machine": False}),
        ({"cpu_tdp_w": 280}, {"cpu_model": "AMD EPYC 7B12"}),
        ({"wall_factor": 1.2}, {}),
    ],
)
def test_what_can_be_is_not_contradicted(make, known, changes):
    assert _contradiction(make, known, **changes) is None


@pytest.mark.parametrize(
    ("threads", "packages", "refused"), [(112, 2, False), (111, 2, True), (112, 1, True)]
)
def test_packages_of_rapl_count_as_sockets(make, threads, packages, refused):
    sensors = tuple(Sensor(name=f"package-{n}", component="cpu") for n in range(packages))
    told = _contradiction(make, {"socket_threads": threads}, RAPL, sensors, **METAL)
    assert (told is not None) is refused


def test_a_bare_machine_whose_sockets_nobody_counted_is_not_contradicted(make):
    assert _contradiction(make, {"socket_threads": 8}, GUESS | {"tdp_w": 85}, **METAL) is None


def test_a_sensor_needs_no_share_for_a_tdp(make):
    assert _contradiction(make, {"cpu_tdp_w": 200}, RAPL) is None
