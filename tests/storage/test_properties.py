"""Any order of claim, write, finish, put back and cancel on a real store keeps a job in order."""

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from app.domain.errors import StateError
from app.domain.jobs import FINAL_STATUSES, TRANSITIONS, JobStatus
from app.storage.attempts import Standing
from app.storage.store import Store

BOUNDS = settings(max_examples=20, stateful_step_count=16, deadline=None)
LATE = st.sampled_from([0, 0, 0, 0, -1, 1])  # how far an attempt's number is from the newest
ENDS = st.sampled_from(sorted(FINAL_STATUSES))


def machine(make):
    """One job on a store of its own connection, and what should be true of it."""

    class Life(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.runner = asyncio.Runner()
            self.store = self.run(Store.open(make.url))
            self.status, self.attempt, self.ended = JobStatus.QUEUED, 0, []
            self.cancel_asked, self.taken = False, 0
            self.seen = []

        def run(self, work):
            return self.runner.run(work)

        @initialize()
        def submit(self):
            self.job = self.run(self.store.submit(make.spec(), max_queued=10_000))

        def mine(self, late):
            return late == 0 and self.status is JobStatus.RUNNING

        def goes(self, status):
            assert status in TRANSITIONS[self.status]
            self.status = status

        @rule()
        def claim(self):
            got = self.run(self.store.claim(self.job.id, "box"))
            assert (got is not None) == (self.status is JobStatus.QUEUED)
            if got:
                self.goes(JobStatus.RUNNING)
                self.attempt, self.taken = self.attempt + 1, 0
                assert got.attempt == self.attempt

        @rule(late=LATE)
        def write(self, late):
            reading = make.reading(float(self.taken))
            number = self.attempt + late
            if self.taken == 0:
                record = make.readings(number, reading)
                found = self.run(self.store.begin_attempt(self.job.id, number, record))
            else:
                found = self.run(self.store.append(self.job.id, number, [reading]))
            asked = Standing.CANCELLED if self.cancel_asked else Standing.GOES_ON
            assert found is (asked if self.mine(late) else Standing.FENCED)
            self.taken += self.mine(late)

        @rule(late=LATE, status=ENDS)
        def finish(self, late, status):
            report = make.report(self.job, status, 1.0)
            kept = self.run(
                self.store.finish(
                    self.job.id,
                    self.attempt + late,
                    status=status,
                    error=None,
                    report=report,
                    readings=None,
                )
            )
            assert kept == self.mine(late)
            if kept:
                self.goes(status)
                self.ended.append(status.value)

        @rule(late=LATE, ended=st.sampled_from(["lost", "stopped"]))
        def put_back(self, late, ended):
            kept = self.run(
                self.store.put_back(
                    self.job.id,
                    self.attempt + late,
                    ended=ended,
                    energy_j=None,
                    finish_queue_row=ended == "lost",
                )
            )
            assert kept == (self.mine(late) and not self.cancel_asked)
            if kept:
                self.goes(JobStatus.QUEUED)
                self.ended.append(ended)

        @rule()
        def cancel(self):
            report = make.report(self.job, JobStatus.CANCELLED)
            try:
                self.run(self.store.cancel(self.job.id, lambda _: report))
            except StateError:
                assert self.status.final
                return
            assert not self.status.final
            if self.status is JobStatus.QUEUED:
                self.goes(JobStatus.CANCELLED)
            else:
                self.cancel_asked = True

        @invariant()
        def it_is_as_it_should_be(self):
            if not hasattr(self, "job"):
                return
            job = self.run(self.store.get(self.job.id))
            assert (job.status, job.attempt) == (self.status, self.attempt)
            report = self.run(self.store.report(job.id))
            assert (report is not None) == self.status.final
            assert (job.finished_at is not None) == self.status.final
            attempts = self.run(self.store.attempts(job.id))
            assert [one.ended for one in attempts] == self.ended
            found = self.run(self.store.readings(job.id)) if self.attempt else None
            assert len(found.readings if found else ()) == self.taken
            self.seen.append((job.attempt, job.status.final, report))
            before = self.seen[-2:][0]
            assert before[0] <= job.attempt
            assert not before[1] or before == self.seen[-1]  # final is final, to the byte

        def teardown(self):
            self.run(self.store.close())
            self.runner.close()

    return Life


@pytest.fixture
def make(database_url, make_spec, make_reading, make_readings, make_report):
    class Make:
        url = database_url
        spec, reading = staticmethod(make_spec), staticmethod(make_reading)
        readings, report = staticmethod(make_readings), staticmethod(make_report)

    return Make


def test_a_jobs_life_in_any_order(make):
    run_state_machine_as_test(machine(make), settings=BOUNDS)
