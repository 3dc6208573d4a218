"""Which generation a CPU is of, which share of its socket a host has, and what cannot be so."""

import re

from app.accounting import assumptions as a
from app.domain.readings import ComponentFacts, HostFacts, MeterFacts, Method

# AMD family → (first model, last model, generation): AMD's revision guides of families 17h, 19h and
# 1Ah (2018–2024), as in Linux, arch/x86/kernel/cpu/amd.c. Desktop chips share the families, so the
# name has to be a server's, or to say nothing in a virtual machine.
_AMD: dict[int, tuple[tuple[int, int, str], ...]] = {
    23: ((0x00, 0x0F, a.NAPLES), (0x30, 0x3F, a.ROME)),
    25: ((0x00, 0x0F, a.MILAN), (0x10, 0x1F, a.GENOA), (0xA0, 0xAF, a.GENOA)),
    26: ((0x00, 0x1F, a.TURIN),),
}

# Intel family 6, model → generation: Linux, arch/x86/include/asm/intel-family.h (2024).
_INTEL: dict[int, str] = {
    0x55: a.SKYLAKE,
    0x6A: a.ICE_LAKE,
    0x6C: a.ICE_LAKE,
    0x8F: a.SAPPHIRE_RAPIDS,
    0xCF: a.EMERALD_RAPIDS,
    0xAD: a.XEON_6,
    0xAE: a.XEON_6,
    0xAF: a.XEON_6,
}

# Names, where the numbers do not show: the makers' numbering, and QEMU's CPU names.
_NAMES: tuple[tuple[str, str], ...] = (
    (r"EPYC(?:-Naples| 7\w\w1P?\b)", a.NAPLES),
    (r"EPYC(?:-Rome| 7\w\w2P?\b)", a.ROME),
    (r"EPYC(?:-Milan| 7\w\w3[PX]?\b)", a.MILAN),
    (r"EPYC(?:-Genoa| [89]\w\w4\w*\b)", a.GENOA),
    (r"EPYC(?:-Turin| 9\w\w5\w*\b)", a.TURIN),
    (r"Xeon.*(?:Skylake|Cascadelake|(?:Platinum|Gold|Silver|Bronze) \d[12]\d\d)", a.SKYLAKE),
    (r"Xeon.*(?:Icelake|(?:Platinum|Gold|Silver) \d3\d\d(?!\w*H))", a.ICE_LAKE),
    (r"Xeon.*(?:SapphireRapids|(?:Platinum|Gold|Silver|Bronze) \d4\d\d)", a.SAPPHIRE_RAPIDS),
    (r"Xeon.*(?:EmeraldRapids|(?:Platinum|Gold|Silver) \d5\d\d)", a.EMERALD_RAPIDS),
    (r"Xeon.*(?:GraniteRapids|SierraForest|\b6[579]\d\d[PE]\b)", a.XEON_6),
)

# Products of desktops, laptops and workstations; QEMU calls a Xeon an "Intel Core Processor", so a
# name that a hypervisor gives says nothing here. A server's "96-Core Processor" is none of them.
_CLIENT = r"(?<!-)\b(?:Core|Ryzen|Threadripper|Athlon|Phenom|Celeron|Pentium|Atom|Ultra)\b"

X86_VENDORS = frozenset({"AuthenticAMD", "GenuineIntel", "HygonGenuine", "CentaurHauls"})

# A server's TDP is configurable within a quarter at most: what is further off is another thing,
# as the sum of two sockets, or a virtual machine's part of one.
TDP_FACTOR = 1.5

_NUMBERS = (
    r"EPYC (\w+)",
    r"Xeon (?:Platinum|Gold|Silver|Bronze) (\d{4}\w*\+?)",
    r"Xeon (E5-\d{4}\w? V\d)",
)


def generation(host: HostFacts) -> str | None:
    """The CPU's generation as a row of the SPECpower table; null where it cannot be told.

    What the user says counts before what the host shows.
    """
    if host.known.cpu_generation is not None:
        return a.GENERATIONS[host.known.cpu_generation]
    return _by_numbers(host) or _by_name(_plain(host.cpu_model))


def _by_numbers(host: HostFacts) -> str | None:
    """The generation from vendor, family and model number, of a server.

    The name says that it is one ("AMD EPYC", "Intel Xeon Processor"); or it says nothing, as
    "QEMU Virtual CPU" or none at all, in a virtual machine, which servers are rented as.
    """
    family, model = host.cpu_family, host.cpu_model_number
    if family is None or model is None:
        return None
    if host.cpu_vendor == "AuthenticAMD" and _may_be(host, "EPYC"):
        rows = _AMD.get(family, ())
        return next((label for first, last, label in rows if first <= model <= last), None)
    if host.cpu_vendor == "GenuineIntel" and family == 6 and _may_be(host, "XEON"):
        return _INTEL.get(model)
    return None


def _may_be(host: HostFacts, brand: str) -> bool:
    """Whether the name is of this server brand, or of no brand at all in a virtual machine."""
    name = _plain(host.cpu_model)
    if brand in name.upper():
        return True
    return host.virtual_machine and not re.search(rf"{_CLIENT}|EPYC|Xeon", name, re.IGNORECASE)


def of_a_client(host: HostFacts) -> bool:
    """Whether the CPU is by its name one of a desktop, a laptop or a workstation, not of a server.

    What a virtual machine shows is its hypervisor's choice, and says nothing here.
    """
    name = _plain(host.cpu_model)
    return not host.virtual_machine and bool(re.search(_CLIENT, name, re.IGNORECASE))


def _by_name(name: str) -> str | None:
    return next(
        (label for pattern, label in _NAMES if re.search(pattern, name, re.IGNORECASE)), None
    )


def _plain(name: str | None) -> str:
    """A CPU's name without trademark signs, "CPU" and doubled spaces."""
    return " ".join(re.sub(r"\((?:R|TM)\)|\bCPU\b", " ", name or "").split())


def socket_of(host: HostFacts) -> a.Socket | None:
    """One socket of the host's server CPU; null where the model is not in the table."""
    name = _plain(host.cpu_model)
    for pattern in _NUMBERS:
        if match := re.search(pattern, name, re.IGNORECASE):
            number = match[1].upper().replace(" ", "")
            return a.SOCKETS.get(number) or a.SOCKETS.get(number.removesuffix("P"))
    return None


def whole_cores(host: HostFacts) -> bool:
    """Whether the user says that each CPU of this virtual machine is a core, not a thread of it."""
    return host.virtual_machine and host.known.vcpu_is_core is True


def threads(host: HostFacts) -> int:
    """Hardware threads that the host's CPUs stand for: two each where a vCPU is a whole core."""
    return host.host_cpus * (a.DEFAULT.threads_per_core if whole_cores(host) else 1)


def socket_threads(host: HostFacts) -> int | None:
    """Hardware threads of one socket, from the user or the table; null where neither has them."""
    if host.known.socket_threads is not None:
        return host.known.socket_threads
    found = socket_of(host)
    return None if found is None else found.threads


def billed_sockets(host: HostFacts, facts: ComponentFacts) -> int:
    """How often codecarbon bills the TDP: a virtual machine shows sockets that are not there.

    As the meter says; of older readings, read back from the billed TDP.
    """
    if facts.sockets is not None:
        return max(1, facts.sockets)
    found = socket_of(host)
    if found is None or facts.tdp_w is None or facts.tdp_guessed:
        return 1
    return max(1, round(facts.tdp_w / found.tdp_w))


def socket_share(host: HostFacts, facts: ComponentFacts) -> float | None:
    """The share of the billed sockets that the host has: 1 where it has them whole.

    codecarbon bills TDP × the sockets that the machine shows. Null where a virtual machine is
    billed for a known TDP and the socket's threads are not known.
    """
    if not host.virtual_machine or facts.tdp_w is None or facts.tdp_guessed:
        return 1.0
    whole = socket_threads(host)
    if whole is None:
        return None
    return min(1.0, threads(host) / (whole * billed_sockets(host, facts)))


def known_tdp_w(host: HostFacts, facts: ComponentFacts) -> float | None:
    """The user's TDP for all that the host has of its sockets, in watts.

    Null where the user gave none, or where it is of a virtual machine's socket of unknown threads.
    """
    tdp_w = host.known.cpu_tdp_w
    if tdp_w is None:
        return None
    if facts.tdp_w is not None and not facts.tdp_guessed:
        share = socket_share(host, facts)
        return None if share is None else tdp_w * billed_sockets(host, facts) * share
    if not host.virtual_machine:
        return tdp_w * _sockets_of_metal(host, facts)
    whole = socket_threads(host)
    return None if whole is None else tdp_w * threads(host) / whole


def _sockets_of_metal(host: HostFacts, facts: ComponentFacts) -> int:
    """Sockets of a machine that hides none of them."""
    whole = socket_threads(host)
    if facts.sockets is not None or whole is None:
        return billed_sockets(host, facts)
    return max(1, round(host.host_cpus / whole))


def contradiction(host: HostFacts, meter: MeterFacts) -> str | None:
    """Which known fact cannot be true of the host, or cannot be used, and what to do; null: none.

    Only what cannot be is refused: a user may know better than what a host shows.
    """
    return (
        _wrong_generation(host)
        or _wrong_core(host)
        or _wrong_threads(host, meter)
        or _wrong_tdp(host, meter.cpu)
    )


def _wrong_generation(host: HostFacts) -> str | None:
    slug = host.known.cpu_generation
    if slug is None:
        return None
    other = "GenuineIntel" if a.GENERATIONS[slug] in a.AMD_GENERATIONS else "AuthenticAMD"
    if host.cpu_vendor != other:
        return None
    return (
        f"TRAINWATT_CPU_GENERATION is {slug}, and the CPU's vendor is {host.cpu_vendor}: set a "
        "generation of this vendor, or leave it out"
    )


def _wrong_core(host: HostFacts) -> str | None:
    """Only an x86 CPU says for sure whether a hypervisor is below it."""
    if host.known.vcpu_is_core is None or host.virtual_machine:
        return None
    if host.cpu_vendor not in X86_VENDORS:
        return None
    return (
        "TRAINWATT_VCPU_IS_CORE says what a virtual machine's CPU is, and this host is none: "
        "leave it out"
    )


def _wrong_threads(host: HostFacts, meter: MeterFacts) -> str | None:
    """More CPUs than threads; of sockets that nobody counted a virtual machine has one."""
    whole, sockets = host.known.socket_threads, _shown_sockets(host, meter)
    if whole is None or sockets is None or threads(host) <= whole * sockets:
        return None
    needed = f"{host.host_cpus} CPUs"
    if whole_cores(host):
        needed += f" that are cores by TRAINWATT_VCPU_IS_CORE, so {threads(host)} threads"
    return (
        f"TRAINWATT_SOCKET_THREADS is {whole}, and this host shows {needed} on {sockets} "
        f"socket{'s' if sockets > 1 else ''}: set the hardware threads of one socket, "
        f"at least {-(-threads(host) // sockets)}, or leave it out"
    )


def _shown_sockets(host: HostFacts, meter: MeterFacts) -> int | None:
    """Sockets by codecarbon, by RAPL's packages; null where a bare machine shows neither."""
    packages = [sensor for sensor in meter.sensors if sensor.component == "cpu"]
    if meter.cpu.sockets is None and packages:
        return len(packages) + len(meter.left_out)
    if meter.cpu.sockets is None and not host.virtual_machine:
        return None
    return billed_sockets(host, meter.cpu)


def _wrong_tdp(host: HostFacts, facts: ComponentFacts) -> str | None:
    """A TDP of no such server, or one that cannot be brought to a virtual machine's share."""
    tdp_w, found = host.known.cpu_tdp_w, socket_of(host)
    if tdp_w is None:
        return None
    if found is not None and not 1 / TDP_FACTOR <= tdp_w / found.tdp_w <= TDP_FACTOR:
        return (
            f"TRAINWATT_CPU_TDP_W is {tdp_w:g} W, and one socket of {host.cpu_model} has "
            f"{found.tdp_w:g} W: set the rated power of one whole socket, or leave it out"
        )
    if facts.method is not Method.ESTIMATED or known_tdp_w(host, facts) is not None:
        return None
    return (
        f"TRAINWATT_CPU_TDP_W is {tdp_w:g} W of one socket, and which part of it this virtual "
        "machine has is not known: set TRAINWATT_SOCKET_THREADS too, or leave both out"
    )
