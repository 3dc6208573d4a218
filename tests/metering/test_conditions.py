"""Conditions from trees as Linux lays them on other machines, and from this one."""

import os

import pytest

from app.metering import conditions as module
from app.metering.conditions import Condition, Conditions, governor

PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 1024**2


class Tree:
    """A /proc and a /sys."""

    def __init__(self, root):
        self.proc, self.sys = root / "proc", root / "sys"

    def lay(self, files):
        for name, text in files.items():
            path = self.proc.parent / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def chip(self, number, name, inputs):
        """A hwmon chip; inputs are m°C by label, of which an empty one has no file."""
        folder = f"sys/class/hwmon/hwmon{number}"
        self.lay({f"{folder}/name": f"{name}\n"})
        for place, (label, value) in enumerate(inputs.items(), start=1):
            self.lay({f"{folder}/temp{place}_input": f"{value}\n"})
            if label:
                self.lay({f"{folder}/temp{place}_label": f"{label}\n"})

    def conditions(self, nvml):
        return Conditions(self.proc, self.sys, nvml)


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


@pytest.fixture
def no_gpu(simulated_nvml):
    return simulated_nvml()


def test_a_host_that_shows_nothing_is_null_throughout(tree, no_gpu):
    assert tree.conditions(no_gpu).read(1) == Condition()
    assert governor(tree.sys) is None


def test_memory_swap_and_the_jobs_own(tree, no_gpu):
    tree.lay(
        {
            "proc/meminfo": "MemTotal:  8388608 kB\nMemFree: 1 kB\nMemAvailable: 2097152 kB\n",
            "proc/vmstat": "nr_free_pages 7\npswpin 300\npswpout 212\npswpout_other 9\n",
            "proc/12/statm": "9999 512 40 1 0 88 0\n",
        }
    )
    conditions = tree.conditions(no_gpu)
    seen = conditions.read(12)
    assert seen.memory_used_gib == 6.0
    assert seen.swapped_mib == pytest.approx(512 * PAGE_MIB)
    assert seen.job_memory_gib == pytest.approx(512 * PAGE_MIB / 1024, abs=0.0005)
    assert conditions.read(None).job_memory_gib is None
    assert conditions.read(13).job_memory_gib is None


def test_an_old_kernel_that_does_not_say_what_is_available(tree, no_gpu):
    tree.lay({"proc/meminfo": "MemTotal: 8388608 kB\nMemFree: 1 kB\n", "proc/vmstat": "pgin 1\n"})
    assert tree.conditions(no_gpu).read(None) == Condition()


def test_the_mean_frequency_of_eight_cpus_at_most(tree, no_gpu, monkeypatch):
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: set(range(100)))
    folder = "sys/devices/system/cpu"
    tree.lay({f"{folder}/cpu{n}/cpufreq/scaling_cur_freq": f"{n * 1000}\n" for n in range(100)})
    conditions = tree.conditions(no_gpu)
    assert len(conditions._frequencies) == 8
    assert conditions.read(None).cpu_mhz == sum(range(0, 100, 13)) / 8


def test_a_cpu_that_goes_offline_leaves_the_others(tree, no_gpu, monkeypatch):
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: {0, 1})
    files = [f"sys/devices/system/cpu/cpu{n}/cpufreq/scaling_cur_freq" for n in (0, 1)]
    tree.lay(dict.fromkeys(files, "3000000\n"))
    conditions = tree.conditions(no_gpu)
    (tree.proc.parent / files[1]).unlink()
    assert conditions.read(None).cpu_mhz == 3000.0
    tree.lay({files[0]: "<unknown>\n"})
    assert conditions.read(None).cpu_mhz is None


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["performance\n", "performance\n"], "performance"),
        (["schedutil\n", "performance\n"], "performance, schedutil"),
    ],
)
def test_the_governors_in_use(tree, monkeypatch, texts, expected):
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: {0, 1})
    folder = "sys/devices/system/cpu"
    tree.lay({f"{folder}/cpu{n}/cpufreq/scaling_governor": text for n, text in enumerate(texts)})
    assert governor(tree.sys) == expected


def test_the_hottest_of_two_intel_packages_and_no_core(tree, no_gpu):
    tree.chip(0, "acpitz", {"": 90_000})
    tree.chip(1, "coretemp", {"Package id 0": 51_000, "Core 0": 80_000})
    tree.chip(2, "coretemp", {"Package id 1": 54_500, "Core 0": 81_000})
    assert tree.conditions(no_gpu).read(None).cpu_temperature_c == 54.5


@pytest.mark.parametrize("name", ["k10temp", "zenpower"])
def test_an_amd_die_and_not_what_its_fans_go_by(tree, no_gpu, name):
    tree.chip(0, name, {"Tctl": 77_000, "Tdie": 50_000, "Tccd1": 60_000})
    assert tree.conditions(no_gpu).read(None).cpu_temperature_c == 50.0


def test_an_amd_chip_that_shows_only_one_temperature(tree, no_gpu):
    tree.chip(0, "k10temp", {"Tctl": 61_250, "Tccd1": 60_000})
    tree.chip(1, "k10temp", {"": 63_000})
    assert tree.conditions(no_gpu).read(None).cpu_temperature_c == 63.0


def test_without_a_chips_driver_the_zone_of_the_package_counts(tree, no_gpu):
    zones = "sys/class/thermal"
    tree.lay(
        {
            f"{zones}/thermal_zone0/type": "acpitz\n",
            f"{zones}/thermal_zone0/temp": "99000\n",
            f"{zones}/thermal_zone1/type": "x86_pkg_temp\n",
            f"{zones}/thermal_zone1/temp": "47000\n",
        }
    )
    assert tree.conditions(no_gpu).read(None).cpu_temperature_c == 47.0


def test_a_file_that_vanishes_is_null_from_then_on(tree, no_gpu):
    tree.chip(0, "coretemp", {"Package id 0": 51_000})
    tree.lay({"proc/meminfo": "MemTotal: 8 kB\nMemAvailable: 2 kB\n"})
    conditions = tree.conditions(no_gpu)
    assert conditions.read(None).cpu_temperature_c == 51.0
    for path in (tree.sys / "class/hwmon/hwmon0/temp1_input", tree.proc / "meminfo"):
        path.unlink()
    assert conditions.read(None) == Condition()


def test_the_hottest_gpu_and_the_mean_of_their_use(tree, simulated_nvml):
    devices = {"temperature": 61, "utilization": 80}, {"temperature": 70, "utilization": 20}
    seen = tree.conditions(simulated_nvml(*devices)).read(None)
    assert (seen.gpu_temperature_c, seen.gpu_utilization) == (70.0, 0.5)


def test_a_gpu_that_does_not_say_or_stops_saying(tree, simulated_nvml):
    silent, other = {"utilization": None}, {"temperature": 70, "utilization": 20}
    conditions = tree.conditions(simulated_nvml(silent, other))
    seen = conditions.read(None)
    assert (seen.gpu_temperature_c, seen.gpu_utilization) == (70.0, 0.2)
    other.update(temperature=None, utilization=None)
    assert conditions.read(None) == Condition()


def test_no_driver_is_no_gpu(tree, simulated_nvml):
    nvml = simulated_nvml({"temperature": 61})

    def start():
        raise nvml.NVMLError("Driver Not Loaded")

    nvml.nvmlInit = start
    assert tree.conditions(nvml).read(None) == Condition()


def test_this_machine():
    seen = Conditions().read(os.getpid())
    assert seen.job_memory_gib > 0
    assert seen.memory_used_gib > 0
