"""Host facts from recorded /proc/cpuinfo texts and from this machine."""

import os

import pytest

from app.metering import container
from app.metering.host import host_facts, usable_cpus

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
    facts = host_facts("there", cpuinfo=path)
    assert (facts.cpu_family, facts.cpu_model_number) == (6, 143)
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
