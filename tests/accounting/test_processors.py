"""Generations by vendor, family, model number and name; shares of a socket."""

import pytest

from app.accounting import assumptions as a
from app.accounting import processors

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
