"""The simulated sensors show what their traces drew, in one process and in another."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulated.sensors import Sensors, Shown, reads
from tests.simulated.traces import square, steady

ROOT = Path(__file__).parents[2]
LOOKS = """
import sys
from pathlib import Path
from tests.simulated.install import install
folder = Path(sys.argv[1])
install(folder)
import os, pynvml
from app.metering import powercap
counter = folder / "powercap" / "intel-rapl:1" / "energy_uj"
try:
    counter.read_text()
    open(counter).read()
except PermissionError as error:
    print("denied", os.access(counter, os.R_OK), error.filename == str(counter))
print(powercap.denied())
print(int((folder / "powercap" / "intel-rapl:0" / "energy_uj").read_text()))
print(pynvml.nvmlDeviceGetCount(), pynvml.nvmlDeviceGetPowerUsage(0))
"""


@pytest.fixture
def sensors(tmp_path):
    made = Sensors(tmp_path)
    made.add("rapl", square(20, 120, 0.5), range_uj=1_000_000)
    made.add("rapl", steady(60))
    made.add("gpu", steady(150))
    return made


def test_a_counter_shows_what_was_drawn_and_every_read_is_written_down(sensors):
    shown = Shown(sensors.folder)
    values = [shown.counter_uj(1) for _ in range(3)]
    (first_s, first), *_, (last_s, last) = reads(sensors.folder, 1)
    assert [value for _, value in reads(sensors.folder, 1)] == values
    assert last - first == pytest.approx(sensors.between_j([1], first_s, last_s) * 1e6, abs=2)


def test_a_counter_wraps_at_its_range(sensors):
    assert 0 <= Shown(sensors.folder).counter_uj(0) < 1_000_000


def test_a_counter_that_is_set_counts_on_from_there(sensors):
    shown = Shown(sensors.folder)
    sensors.set_counter(1, 77)
    values = [shown.counter_uj(1) for _ in range(2)]
    (first_s, _), (last_s, _) = reads(sensors.folder, 1)
    assert values[0] >= 77
    assert values[1] - values[0] == pytest.approx(60e6 * (last_s - first_s), abs=2)


def test_a_frozen_counter_shows_one_value_until_it_is_mended(sensors):
    shown = Shown(sensors.folder)
    sensors.break_(1, "frozen")
    frozen = shown.counter_uj(1)
    assert shown.counter_uj(1) == frozen
    sensors.mend()
    assert shown.counter_uj(1) > frozen


def test_what_is_denied_shows_nothing(sensors):
    shown = Shown(sensors.folder)
    sensors.break_(2, "denied")
    assert (shown.counter_uj(2), shown.power_w(2)) == (None, None)


def test_another_process_finds_a_powercap_tree_and_a_driver(sensors):
    sensors.break_(1, "denied")
    done = subprocess.run(
        [sys.executable, "-c", LOOKS, str(sensors.folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    denied, reason, counter, gpu = done.stdout.splitlines()
    assert denied == "denied False True"
    assert reason.startswith("no permission to read ")
    assert 0 <= int(counter) < 1_000_000
    assert gpu == "1 150000"
