"""Fifty faults at moments spread over a job's life; `make bench-faults` does more of them."""

import json
import os
import secrets
import sys

import pytest

from bench import faults

TRIALS = 50


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nothing_is_lost_double_or_orphaned(monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("TRAINWATT_HOST_LOCK", str(tmp_path / "host.lock"))
    monkeypatch.setenv("TRAINWATT_QUIET_WAIT_S", "0")
    seed = int(os.environ.get("TRAINWATT_FAULTS_SEED", secrets.randbelow(10**6)))
    with capfd.disabled():
        sys.stdout.write(f"\nseed {seed}\n")
    figures = faults.campaign(TRIALS, seed)
    told = json.dumps(figures, indent=1)  # in which stages they fell
    with capfd.disabled():
        sys.stdout.write(f"{told}\n")
    assert figures["wrong"] == [], told
    assert figures["trials"] == TRIALS


def test_a_plan_spreads_its_moments_and_is_the_same_again():
    plan = faults.plan(60, 7)
    assert plan == faults.plan(60, 7)
    assert [number for number, _, _ in plan] == list(range(60))
    for target in faults.TARGETS:
        moments = sorted(moment for _, hit, moment in plan if hit == target)
        assert [int(moment * 10) for moment in moments] == list(range(10))
