"""Stores that hold just what a test asks for."""

import pytest

from app.domain.jobs import JobStatus
from app.domain.reports import AttemptEnergy

LOST = AttemptEnergy(attempt=1, ended="lost", energy_j=5.0)


class OneJobStore:
    """One job; `rises` attempts begin just before a cancel gets its lock."""

    def __init__(self, job, *, rises=0, report=None, readings=None):
        self.job, self.rises, self.body, self.found = job, rises, report, readings
        self.cancelled_with = None

    async def get(self, _):
        return self.job

    async def attempts(self, _):
        return (LOST,) * self.job.attempt

    async def report(self, _):
        return self.body

    async def readings(self, _id, _attempt=None):
        return self.found

    async def readings_json(self, _id, _attempt=None):
        return self.found.to_bytes() if self.found else None

    async def cancel(self, _, queued_report):
        if self.rises:
            self.rises -= 1
            self.job = self.job.model_copy(update={"attempt": self.job.attempt + 1})
        self.cancelled_with = queued_report(self.job)
        return self.job.model_copy(update={"status": JobStatus.CANCELLED})


@pytest.fixture
def one_job_store():
    return OneJobStore
