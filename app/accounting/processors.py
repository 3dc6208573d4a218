"""Which generation a CPU is of, and which share of its socket a virtual machine has."""

import re

from app.accounting import assumptions as a
from app.domain.readings import ComponentFacts, HostFacts

# AMD family → (first model, last model, generation): AMD's revision guides of families 17h, 19h and
# 1Ah (2018–2024), as in Linux, arch/x86/kernel/cpu/amd.c. Desktop chips share the families, so the
# name has to be a server's.
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

_NUMBERS = (
    r"EPYC (\w+)",
    r"Xeon (?:Platinum|Gold|Silver|Bronze) (\d{4}\w*\+?)",
    r"Xeon (E5-\d{4}\w? V\d)",
)


def generation(host: HostFacts) -> str | None:
    """The CPU's generation as a row of the SPECpower table; null where it cannot be told."""
    return _by_numbers(host) or _by_name(_plain(host.cpu_model))


def _by_numbers(host: HostFacts) -> str | None:
    """The generation from vendor, family and model number, for server names only."""
    name, family, model = _plain(host.cpu_model), host.cpu_family, host.cpu_model_number
    if family is None or model is None:
        return None
    if host.cpu_vendor == "AuthenticAMD" and "EPYC" in name.upper():
        rows = _AMD.get(family, ())
        return next((label for first, last, label in rows if first <= model <= last), None)
    if host.cpu_vendor == "GenuineIntel" and family == 6 and "XEON" in name.upper():
        return _INTEL.get(model)
    return None


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


def socket_share(host: HostFacts, facts: ComponentFacts) -> float | None:
    """The share of the billed sockets that the host has: 1 where it has them whole.

    codecarbon bills TDP × the sockets that the machine shows; a virtual machine shows sockets that
    are not there, so their number is read back from the billed TDP. Null where a virtual machine is
    billed for a known TDP and the socket's threads are not known.
    """
    if not host.virtual_machine or facts.tdp_w is None or facts.tdp_guessed:
        return 1.0
    known = socket_of(host)
    if known is None:
        return None
    billed_sockets = max(1, round(facts.tdp_w / known.tdp_w))
    return min(1.0, host.host_cpus / (known.threads * billed_sockets))
