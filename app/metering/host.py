"""The machine under the measurement: CPU, memory, GPUs, virtual or not, as the kernel says."""

import math
import os
import platform
from pathlib import Path

import psutil

from app.domain.readings import HostFacts, KnownFacts
from app.metering import container

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
CPUINFO = Path("/proc/cpuinfo")
DEVICE_TREE = Path("/proc/device-tree")
DMI = Path("/sys/class/dmi/id")
GIB = 1024**3

# How the product or the maker of a virtual machine begins in its firmware's tables: systemd's
# src/basic/virt.c (read in 2026) but "Oracle Corporation", which makes servers too; beside it the
# names that further clouds give their guests, our collection, and Microsoft's and Apple's products.
_VIRTUAL = (
    "Alibaba Cloud",
    "Amazon EC2",
    "Apple Virtualization",
    "BHYVE",
    "Bochs",
    "Google Compute Engine",
    "Hetzner",
    "Hyper-V",
    "innotek GmbH",
    "KubeVirt",
    "KVM",
    "OpenStack",
    "Parallels",
    "QEMU",
    "Virtual Machine",
    "VirtualBox",
    "VMware",
    "VMW",
    "Xen",
)
_BARE = "metal"  # in the product name of a cloud's bare machine: "c7g.metal", "m7i.metal-24xl"

NOTHING_KNOWN = KnownFacts()


def host_facts(
    name: str,
    *,
    known: KnownFacts = NOTHING_KNOWN,
    cpuinfo: Path = CPUINFO,
    device_tree: Path = DEVICE_TREE,
    dmi: Path = DMI,
) -> HostFacts:
    """Facts of this host under the name that the settings give it, and what a user knows of it.

    Args:
        name: of the host, by the settings.
        known: what a user knows better than it shows.
        cpuinfo: the kernel's table of CPUs.
        device_tree: the folder of the firmware's device tree, which few x86 machines have.
        dmi: the folder of the firmware's names.
    """
    cpu = _first_cpu(cpuinfo)
    return HostFacts(
        name=name,
        boot_id=BOOT_ID.read_text().strip() if BOOT_ID.exists() else None,
        os=platform.platform(),
        python=platform.python_version(),
        cpu_vendor=cpu.get("vendor_id"),
        cpu_model=cpu.get("model name"),
        cpu_family=_integer(cpu.get("cpu family")),
        cpu_model_number=_integer(cpu.get("model")),
        logical_cpus=usable_cpus(),
        host_cpus=os.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / GIB, 2),
        gpus=_gpus(),
        virtual_machine=_virtual(cpu.get("flags", ""), device_tree, dmi),
        container=container.in_container(),
        cpu_quota=container.cpu_quota(),
        memory_limit_gib=_memory_limit_gib(),
        known=known,
    )


def _virtual(flags: str, device_tree: Path, dmi: Path) -> bool:
    """Whether this is a virtual machine: x86 has a flag for that, others only their firmware."""
    if "hypervisor" in flags.split():
        return True
    if (device_tree / "hypervisor").exists() or any(device_tree.glob("fw-cfg@*")):
        return True
    product, maker = _firmware(dmi / "product_name"), _firmware(dmi / "sys_vendor")
    return _BARE not in product and (product.startswith(_VIRTUAL) or maker.startswith(_VIRTUAL))


def _firmware(path: Path) -> str:
    """One of the firmware's names; empty where it has none, or shows it to root only."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def usable_cpus() -> int:
    """How many logical CPUs this process may use: by affinity, and by quota rounded up."""
    has_affinity = hasattr(os, "sched_getaffinity")
    allowed = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    quota = container.cpu_quota()
    return allowed if quota is None else min(allowed, max(1, math.ceil(quota)))


def cpu_flags(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """What the first CPU can do, by Linux's names; empty where the kernel does not say."""
    cpu = _first_cpu(cpuinfo)
    return frozenset((cpu.get("flags") or cpu.get("Features") or "").split())


def _memory_limit_gib() -> float | None:
    limit = container.memory_limit_bytes()
    return None if limit is None else round(limit / GIB, 2)


def _first_cpu(cpuinfo: Path) -> dict[str, str]:
    """The keys and values of the first processor in /proc/cpuinfo; empty where there is none."""
    if not cpuinfo.exists():
        return {}
    block = cpuinfo.read_text().split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _integer(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _gpus() -> tuple[str, ...]:
    """Names of the NVIDIA GPUs that the driver lists; none where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return tuple(str(pynvml.nvmlDeviceGetName(handle)) for handle in handles)
    finally:
        pynvml.nvmlShutdown()
