"""Jobs as users ask for them: check, submit, show, list, cancel."""

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from app.accounting.report import empty_report
from app.domain.jobs import EVERY_JOB, Job, JobFilter, JobStatus
from app.domain.reports import AttemptEnergy, EnergyReport
from app.domain.specs import JobSpec
from app.service.quotes import Quotes, within_budget
from app.workloads import catalogue

if TYPE_CHECKING:
    from app.storage.store import JobPage


class Jobs(Quotes):
    """The jobs. Every method may raise UnavailableError."""

    async def submit(self, spec: JobSpec, *, key: str | None = None, force: bool = False) -> Job:
        """Queue a job, or find the one that was queued under this idempotency key.

        What was taken once is found again, whatever the queue and the hosts have become.

        Args:
            spec: the job.
            key: the idempotency key.
            force: take it too where it is expected to exceed its own limits.

        Raises:
            SpecError: as `check`.
            OverBudgetError: it is expected to exceed a limit that it has.
            QueueFullError: as many jobs wait as the settings allow.
            IdempotencyError: the key stands for another spec.
        """
        if key is not None and (job := await self._store.submitted(spec, key)):
            return job
        spec = await self._resolved(spec)
        quoted, quotes = await self._quoted(spec, await self._check(spec))
        if not force:
            within_budget(spec, quotes)
        return await self._store.submit(
            spec, max_queued=self._settings.max_queued_jobs, key=key, quoted=quoted
        )

    async def get(self, job_id: str) -> Job:
        """The job; NotFoundError where there is none."""
        return await self._store.get(job_id)

    async def list_jobs(
        self, wanted: JobFilter = EVERY_JOB, *, limit: int = 50, cursor: str | None = None
    ) -> "JobPage":
        """A page of jobs, newest first; SpecError where the cursor is none of ours."""
        return await self._store.list_jobs(wanted, limit=limit, cursor=cursor)

    async def cancel(self, job_id: str) -> Job:
        """Cancel a queued job at once, or ask the worker of a running one to stop it.

        Raises:
            NotFoundError: there is no such job.
            StateError: the job is final.
        """
        while True:  # once more where an attempt began in between; the attempts are few
            seen = await self._store.get(job_id)
            earlier = await self._store.attempts(job_id)
            try:
                return await self._store.cancel(
                    job_id, partial(self._unrun, attempt=seen.attempt, earlier=earlier)
                )
            except _MovedError:
                continue

    def _unrun(self, job: Job, attempt: int, earlier: tuple[AttemptEnergy, ...]) -> EnergyReport:
        if job.attempt != attempt:
            raise _MovedError
        return empty_report(
            job_id=job.id,
            spec=job.to_train,
            status=JobStatus.CANCELLED,
            work=catalogue.known_facts(job.to_train),
            intensity=self._intensity(job.to_train),
            finished_at=datetime.now(UTC),
            earlier=earlier,
        )


class _MovedError(Exception):
    """An attempt began between two looks at a job."""
