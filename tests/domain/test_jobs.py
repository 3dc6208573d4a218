"""Statuses and their transitions."""

import pytest

from app.domain.jobs import FINAL_STATUSES, TRANSITIONS, JobStatus


def test_every_status_has_its_transitions():
    assert set(TRANSITIONS) == set(JobStatus)


@pytest.mark.parametrize("status", sorted(FINAL_STATUSES))
def test_nothing_follows_a_final_status(status):
    assert status.final
    assert not TRANSITIONS[status]


def test_a_job_waits_runs_and_may_go_back():
    assert not JobStatus.QUEUED.final
    assert JobStatus.RUNNING in TRANSITIONS[JobStatus.QUEUED]
    assert JobStatus.QUEUED in TRANSITIONS[JobStatus.RUNNING]
    assert TRANSITIONS[JobStatus.RUNNING] >= FINAL_STATUSES
    assert JobStatus.SUCCEEDED not in TRANSITIONS[JobStatus.QUEUED]
