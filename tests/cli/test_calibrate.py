"""`trainwatt calibrate`: a sensor of known power, a busy host, a job that runs, no sensor."""

import errno
import fcntl
import json
import os
import re
import signal
import sys
import threading
import time

import pytest

from app import settings
from app.cli import calibrate as calibration
from app.cli import commands
from app.cli.calibrate import UncalibratedError, calibrate
from app.domain.errors import UsageError
from app.domain.readings import ComponentFacts, IdlePower, MeterFacts, Method
from app.metering.conditions import Condition
from app.metering.counters import CpuSeconds
from app.metering.host import host_facts
from app.metering.meter import Energies
from app.worker import idle
from app.worker.baseline_file import File

ABSENT = ComponentFacts(method=Method.ABSENT)
MEASURED = ComponentFacts(method=Method.MEASURED, source="a sensor")
WINDOW_S = 1.5
MODEL = ComponentFacts(method=Method.ESTIMATED, source="a model", tdp_w=100)


class Meter:
    """15 W, by a sensor."""

    def __init__(self):
        self.facts = MeterFacts(cpu=MEASURED, gpu=ABSENT, ram=ABSENT, codecarbon="0")
        self.closed = 0

    def read(self):
        return Energies(cpu_j=15 * time.monotonic(), gpu_j=None, ram_j=None)

    def close(self):
        self.closed += 1


class Counters:
    """A host of which others use a share of its CPU time."""

    share = 0.0

    def __init__(self, *_):
        self._begin_s = time.monotonic()

    def read(self, job):
        host_s = (time.monotonic() - self._begin_s) * host_facts("here").host_cpus
        return CpuSeconds(
            host_busy_s=self.share * host_s,
            host_steal_s=None,
            job_cpu_s=None,
            service_cpu_s=0.0,
            instrument_cpu_s=None,
        )


@pytest.fixture
def meter(monkeypatch):
    made = Meter()
    monkeypatch.setattr(calibration, "CodecarbonMeter", lambda: made)
    monkeypatch.setattr(calibration, "CpuCounters", Counters)
    monkeypatch.setattr(calibration, "PERIOD_S", 0.5)
    return made


@pytest.fixture
def given(tmp_path, monkeypatch):
    for name, value in (("DATA_DIR", tmp_path / "data"), ("HOST_LOCK", tmp_path / "lock")):
        monkeypatch.setenv(f"TRAINWATT_{name}", str(value))
    return settings.load()


def test_the_idle_power_is_kept_for_the_worker(meter, given):
    said = []
    found = calibrate(given, WINDOW_S, said.append)
    assert found.cpu_w == pytest.approx(15, rel=0.01)
    assert found.window_s == pytest.approx(1.5, abs=0.4)
    assert found.calibrated
    kept = File(given.data_dir, host_facts(given.host_name), meter.facts, 60)
    assert kept.news() == found
    assert said == [
        "measuring for 1.5 s: leave the host alone meanwhile",
        f"kept in {given.data_dir / 'baseline.json'}",
    ]
    assert meter.closed == 1


def test_a_busy_host_is_refused_before_the_end(meter, given, monkeypatch):
    monkeypatch.setattr(Counters, "share", 0.23)
    begin_s = time.monotonic()
    with pytest.raises(UncalibratedError) as refused:
        calibrate(given, 60.0, lambda _: None)
    assert time.monotonic() - begin_s < 45
    assert re.fullmatch(
        r"the host is 2\d % busy with other programs: stop them and calibrate again",
        str(refused.value),
    )
    assert not (given.data_dir / "baseline.json").exists()


def test_a_counter_that_stands_still_is_refused(meter, given):
    still = meter.read()
    meter.read = lambda: still
    with pytest.raises(UncalibratedError, match="a counter of the CPU has not risen all the time"):
        calibrate(given, WINDOW_S, lambda _: None)


def test_one_of_two_sensors_without_a_figure_is_refused(meter, given):
    meter.facts = meter.facts.model_copy(update={"gpu": MEASURED})
    with pytest.raises(UncalibratedError, match="a counter of the GPU has not risen"):
        calibrate(given, WINDOW_S, lambda _: None)
    assert not (given.data_dir / "baseline.json").exists()


def test_a_counter_that_is_reset_meanwhile_is_refused(meter, given):
    begin_s = time.monotonic()

    def read():
        passed_s = time.monotonic() - begin_s
        return Energies(cpu_j=15 * passed_s - 200 * (passed_s > 1), gpu_j=None, ram_j=None)

    meter.read = read
    with pytest.raises(UncalibratedError, match="CPU.*jumped"):
        calibrate(given, WINDOW_S + 1, lambda _: None)


def test_a_gpu_that_others_use_is_refused_and_an_idle_one_is_told(meter, given, monkeypatch):
    used = [0.5]
    monkeypatch.setattr(
        calibration.Conditions, "read", lambda *_: Condition(gpu_utilization=used[0])
    )
    with pytest.raises(UncalibratedError, match="the GPU is 50 % busy with other programs"):
        calibrate(given, WINDOW_S, lambda _: None)
    assert not (given.data_dir / "baseline.json").exists()
    used[0] = 0.01
    assert calibrate(given, WINDOW_S, lambda _: None).gpu_utilization == pytest.approx(0.01)


def test_a_window_that_was_cut_is_refused(meter, given, monkeypatch):
    monkeypatch.setattr(idle, "GAP_S", 0.9)
    read, stops = meter.read, [0, 0, 1.2]

    def stopped():
        time.sleep(stops.pop(0) if stops else 0)
        return read()

    meter.read = stopped
    with pytest.raises(UncalibratedError, match=r"expected a window of 2\.5 s, received \d\.\d s"):
        calibrate(given, 2.5, lambda _: None)
    assert not (given.data_dir / "baseline.json").exists()


def test_a_setting_that_contradicts_the_host_is_wrong_use(meter, given, capfd, monkeypatch):
    monkeypatch.setenv("TRAINWATT_SOCKET_THREADS", "1")
    monkeypatch.setattr(
        calibration, "contradiction", lambda host, _: f"{host.known.socket_threads} is too few"
    )
    code, out, err = command(capfd, monkeypatch, "--window", "1.5")
    assert (code, out) == (2, "")
    assert "1 is too few" in err
    assert meter.closed == 1


def test_without_a_sensor_it_says_what_is_taken_instead(meter, given):
    meter.facts = meter.facts.model_copy(update={"cpu": MODEL})
    with pytest.raises(UncalibratedError, match="idle figure of the model.*README"):
        calibrate(given, WINDOW_S, lambda _: None)
    denied = ComponentFacts(method=Method.UNAVAILABLE, reason="no permission: chmod it")
    meter.facts = meter.facts.model_copy(update={"cpu": denied})
    with pytest.raises(UncalibratedError, match="no permission: chmod it"):
        calibrate(given, WINDOW_S, lambda _: None)
    assert meter.closed == 2


def test_it_waits_for_a_job_and_keeps_the_host(meter, given):
    said, found = [], []
    with given.host_lock.open("w") as job:
        fcntl.flock(job, fcntl.LOCK_EX)
        waiting = threading.Thread(
            target=lambda: found.append(calibrate(given, WINDOW_S, said.append))
        )
        waiting.start()
        deadline_s = time.monotonic() + 60
        while not said:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        time.sleep(0.5)
        assert said == ["a job runs on this host: waiting for its end"]
        fcntl.flock(job, fcntl.LOCK_UN)
        while len(said) < 2:  # it measures
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        with pytest.raises(BlockingIOError):
            fcntl.flock(job, fcntl.LOCK_EX | fcntl.LOCK_NB)
        waiting.join()
    assert found


def test_a_data_directory_that_cannot_be_written_is_named(meter, given, tmp_path):
    (tmp_path / "file").touch()
    elsewhere = given.model_copy(update={"data_dir": tmp_path / "file"})
    meter.read = lambda: pytest.fail("it is known before the window")
    with pytest.raises(UsageError, match="as the user that the worker runs as.*TRAINWATT_DATA_DIR"):
        calibrate(elsewhere, WINDOW_S, lambda _: None)


@pytest.mark.parametrize("fails", ["check", "write"])
def test_on_a_full_disk_the_advice_is_to_free_space(meter, given, monkeypatch, fails):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(calibration.baseline_file, fails, full)
    with pytest.raises(UsageError, match=r"No space left.*: free space there, or set"):
        calibrate(given, WINDOW_S, lambda _: None)


def test_ctrl_c_ends_it_at_once_and_keeps_nothing(meter, given, capfd, monkeypatch):
    interrupts = threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    interrupts.start()
    begin_s = time.monotonic()
    code, out, err = command(capfd, monkeypatch, "--window", "300")
    assert (code, out) == (130, "")
    assert time.monotonic() - begin_s < 60
    assert err.splitlines()[-1].endswith("interrupted")
    assert list(given.data_dir.iterdir()) == []
    assert meter.closed == 1


def command(capfd, monkeypatch, *arguments):
    """The exit code of the command line, and what it said."""
    monkeypatch.setattr(sys, "argv", ["trainwatt", "calibrate", *arguments])
    try:
        code = commands.main()
    except SystemExit as end:
        code = end.code
    said = capfd.readouterr()
    return code, said.out, said.err


def test_the_command_prints_a_table_or_json(meter, given, capfd, monkeypatch):
    code, out, err = command(capfd, monkeypatch, "--window", "1.5")
    assert (code, "measuring for 1.5 s" in err) == (0, True)
    assert "15.0 W" in out
    assert "0.0 % of the host's CPU time" in out
    code, out, _ = command(capfd, monkeypatch, "--window", "1.5", "--json")
    assert code == 0
    assert IdlePower.model_validate(json.loads(out)).cpu_w == pytest.approx(15, rel=0.01)


def test_what_cannot_be_measured_is_exit_code_1(meter, given, capfd, monkeypatch):
    monkeypatch.setattr(Counters, "share", 0.5)
    code, out, err = command(capfd, monkeypatch, "--window", "1.5")
    assert (code, out) == (1, "")
    assert re.match(r"trainwatt: the host is \d\d % busy", err.splitlines()[-1])


def test_a_window_out_of_range_is_wrong_use(meter, given, capfd, monkeypatch):
    code, out, err = command(capfd, monkeypatch, "--window", "0")
    assert (code, out) == (2, "")
    assert "--window" in err
    assert "greater than or equal to 1" in err


def test_on_this_host_it_measures_or_says_why_not(tmp_path, trainwatt):
    environment = {
        "TRAINWATT_DATA_DIR": str(tmp_path),
        "TRAINWATT_HOST_LOCK": str(tmp_path / "lock"),
    }
    done = trainwatt("calibrate", "--window", "2", environment=environment)
    assert done.returncode in {0, 1}
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert done.stderr.splitlines()[-1].startswith("trainwatt: ")
