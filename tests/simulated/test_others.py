"""The account of every process: it agrees with a process's own, also when that has ended."""

import os
import subprocess
import sys
import time

import pytest

from tests.simulated.loads import noted, planted
from tests.simulated.others import Seen, Watch, _gains, at

BURN = "import time\nwhile time.process_time() < 0.6: pass"


def _pause_s(seconds):
    time.sleep(seconds)
    return time.monotonic()


def test_a_load_uses_what_it_says_by_the_kernels_account(tmp_path):
    with planted(tmp_path / "log", "burn", 0.5) as log:
        (load,) = _children(log)
        with Watch(load) as watch:  # what is below it is it alone
            begin_s, end_s = _pause_s(0.3), _pause_s(1.5)
            _pause_s(0.3)
    used_s = at(noted(log), end_s) - at(noted(log), begin_s)
    assert used_s > 0.1
    assert watch.service_s(begin_s, end_s) == pytest.approx(used_s, abs=0.05)


def test_a_process_that_ended_is_counted_in_its_parent():
    with Watch(os.getpid()) as watch:
        begin_s = _pause_s(0.2)
        subprocess.run([sys.executable, "-S", "-c", BURN], check=True)
        end_s = _pause_s(0.2)
        _pause_s(0.2)
    assert watch.service_s(begin_s, end_s) >= 0.55


def test_a_family_that_ends_between_two_looks_is_counted_once():
    last = {(1, 0): Seen(0, 1.0, 2.0), (5, 9): Seen(1, 0.5, 0.0), (7, 9): Seen(5, 60.0, 0.0)}
    now = {(1, 0): Seen(0, 1.25, 2.0 + 0.5 + 60.125)}
    assert _gains(last, now) == [(1, 0.25 + 0.125)]


def test_an_orphan_that_ends_takes_nothing_away():
    with Watch(os.getpid()) as watch:
        subprocess.run(["/bin/sh", "-c", '"$0" -S -c "$1" &', sys.executable, BURN], check=True)
        _pause_s(1.0)
    others_s = [look.others_s for look in watch.looks]
    assert others_s == sorted(others_s)


def test_a_moment_outside_of_the_points_has_no_value():
    with pytest.raises(ValueError, match="expected a moment among 2 points"):
        at([(1.0, 0.0), (2.0, 1.0)], 3.0)


def _children(log):
    import psutil

    return [p.pid for p in psutil.Process().children() if str(log) in p.cmdline()]
