"""Host facts from recorded /proc/cpuinfo texts and from this machine."""

import os

import pytest

from app.metering import container
from app.metering.host import cpu_flags, host_facts, usable_cpus

EPYC_VM = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
flags\t\t: fpu vme hypervisor avx512f

processor\t: 1
model name\t: another
"""
XEON = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
flags\t\t: fpu vme avx512f
"""


def test_a_virtual_epyc(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text(EPYC_VM)
    facts = host_facts("here", cpuinfo=path)
    assert (facts.name, facts.cpu_vendor, facts.cpu_model) == ("here", "AuthenticAMD", "AMD EPYC")
    assert (facts.cpu_family, facts.cpu_model_number) == (25, 17)
    assert facts.virtual_machine


def test_a_bare_xeon(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text(XEON)
    facts = host_facts("there", cpuinfo=path, dmi=tmp_path / "none", device_tree=tmp_path / "none")
    assert (facts.cpu_family, facts.cpu_model_number) == (6, 143)
    assert not facts.virtual_machine


ARM = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm
CPU implementer\t: 0x41
"""


def _virtual(tmp_path, text, names=(), tree=()):
    """Whether a host is virtual by its cpuinfo, its firmware's names and its device tree."""
    cpuinfo, dmi, device_tree = (tmp_path / name for name in ("cpuinfo", "dmi", "tree"))
    cpuinfo.write_text(text)
    for folder, files in ((dmi, dict(names)), (device_tree, dict.fromkeys(tree, ""))):
        folder.mkdir()
        for name, value in files.items():
            (folder / name).write_text(f"{value}\n")
    return host_facts("a", cpuinfo=cpuinfo, dmi=dmi, device_tree=device_tree).virtual_machine


@pytest.mark.parametrize(
    ("maker", "product", "virtual"),
    [
        ("QEMU", "KVM Virtual Machine", True),
        ("QEMU", "Standard PC (Q35 + ICH9, 2009)", True),
        ("VMware, Inc.", "VMware20,1", True),
        ("innotek GmbH", "VirtualBox", True),
        ("Xen", "HVM domU", True),
        ("Microsoft Corporation", "Virtual Machine", True),
        ("Microsoft Corporation", "Surface Pro 11", False),
        ("Google", "Google Compute Engine", True),
        ("Amazon EC2", "m7g.large", True),
        ("Amazon EC2", "c7g.metal", False),
        ("Amazon EC2", "c8g.metal-24xl", False),
        ("Parallels International GmbH.", "Parallels ARM Virtual Machine", True),
        ("OpenStack Foundation", "OpenStack Nova", True),
        ("Alibaba Cloud", "Alibaba Cloud ECS", True),
        ("Apple Inc.", "Apple Virtualization Generic Platform", True),
        ("Oracle Corporation", "SUN SERVER X4-2", False),
        ("GIGABYTE", "R272-P30-JG", False),
        ("", "", False),
    ],
)
def test_without_the_flag_of_x86_the_firmware_tells(tmp_path, maker, product, virtual):
    names = {"sys_vendor": maker, "product_name": product}
    assert _virtual(tmp_path, ARM, names) is virtual


@pytest.mark.parametrize(
    ("tree", "virtual"), [(("hypervisor",), True), (("fw-cfg@9020000",), True), (("cpus",), False)]
)
def test_a_device_tree_tells_too(tmp_path, tree, virtual):
    assert _virtual(tmp_path, ARM, tree=tree) is virtual


def test_a_hidden_flag_of_x86_does_not_hide_the_firmware(tmp_path):
    assert _virtual(tmp_path, XEON, {"sys_vendor": "QEMU"})


def test_a_firmware_name_for_root_only_is_none(tmp_path):
    (tmp_path / "sys_vendor").mkdir()  # reading a folder fails as reading without permission
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(ARM)
    facts = host_facts("a", cpuinfo=cpuinfo, dmi=tmp_path, device_tree=tmp_path)
    assert not facts.virtual_machine


def test_without_cpuinfo_nothing_is_invented(tmp_path):
    facts = host_facts("bare", cpuinfo=tmp_path / "none")
    assert facts.cpu_vendor is None
    assert facts.cpu_family is None


def test_this_machine():
    facts = host_facts("this")
    assert 1 <= facts.logical_cpus <= facts.host_cpus == os.cpu_count()
    assert facts.memory_gib > 0


@pytest.mark.parametrize(
    ("affinity", "quota", "usable"),
    [({0}, None, 1), ({0, 1, 2, 3}, 1.5, 2), ({0, 1, 2, 3}, 0.1, 1), ({0}, 8.0, 1)],
)
def test_affinity_and_quota_count(monkeypatch, affinity, quota, usable):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: affinity)
    monkeypatch.setattr(container, "cpu_quota", lambda: quota)
    assert usable_cpus() == usable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor : 0\nflags : fpu avx512_bf16\n\nprocessor : 1\n", {"fpu", "avx512_bf16"}),
        ("processor : 0\nFeatures : fp bf16\n", {"fp", "bf16"}),
        ("processor : 0\n", set()),
    ],
)
def test_what_the_first_cpu_can_do(tmp_path, text, expected):
    file = tmp_path / "cpuinfo"
    file.write_text(text)
    assert cpu_flags(file) == expected
    assert cpu_flags(tmp_path / "none") == set()
