"""Jobs as users ask for them: check, submit, show, list, cancel."""

import asyncio
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from app.accounting.report import empty_report
from app.domain.errors import FieldError, SpecError
from app.domain.hosts import Host, worker_trouble
from app.domain.jobs import EVERY_JOB, Job, JobFilter, JobStatus
from app.domain.quantities import CarbonIntensity
from app.domain.reports import AttemptEnergy, EnergyReport
from app.domain.specs import JobSpec, WorkloadFacts
from app.service.datasets import Datasets
from app.workloads import catalogue

if TYPE_CHECKING:
    from app.storage.store import JobPage

BYTES_PER_GIB = 2**30


class Jobs(Datasets):
    """The jobs. Every method may raise UnavailableError."""

    async def check(self, spec: JobSpec) -> WorkloadFacts:
        """What the spec's training is, if it can be honoured.

        Raises:
            SpecError: the catalogue, the carbon tables or the known hosts do not allow it; every
                field that does not hold is named.
        """
        return await self._check(await self._resolved(spec))

    async def _check(self, spec: JobSpec) -> WorkloadFacts:
        errors = [*_unstorable(spec), *_of_an_experiment(spec)]
        try:
            errors += _unpriced(spec, self._intensity(spec))
        except SpecError as error:
            errors += error.errors
        try:
            facts = await asyncio.to_thread(catalogue.facts, spec)  # an architecture takes a while
        except SpecError as error:
            raise SpecError(*errors, *await self._with_names(error.errors)) from error
        errors += _misfits(spec, facts, self._living(await self._store.hosts()))
        if errors:
            raise SpecError(*errors)
        return facts

    def _living(self, hosts: tuple[Host, ...]) -> tuple[Host, ...]:
        """Those whose worker lives: each container that is gone was a host too. All, if none."""
        now, lease_s = datetime.now(UTC), self._settings.lease_s
        living = [h for h in hosts if not worker_trouble((h,), h.name, now=now, lease_s=lease_s)]
        return tuple(living) or hosts

    async def submit(self, spec: JobSpec, *, key: str | None = None) -> Job:
        """Queue a job, or find the one that was queued under this idempotency key.

        What was taken once is found again, whatever the queue and the hosts have become.

        Raises:
            SpecError: as `check`.
            QueueFullError: as many jobs wait as the settings allow.
            IdempotencyError: the key stands for another spec.
        """
        if key is not None and (job := await self._store.submitted(spec, key)):
            return job
        spec = await self._resolved(spec)
        await self._check(spec)
        return await self._store.submit(spec, max_queued=self._settings.max_queued_jobs, key=key)

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


def _of_an_experiment(spec: JobSpec) -> Iterable[FieldError]:
    """Jobs of an experiment are made by it alone."""
    if spec.experiment_id is not None:
        expected = "null: an experiment makes its own jobs (POST /v1/experiments)"
        yield FieldError(field="experiment_id", expected=expected, received=spec.experiment_id)


def _unstorable(spec: JobSpec) -> Iterable[FieldError]:
    """Texts that the database cannot hold: PostgreSQL's have no character U+0000."""
    texts = {"carbon.region": spec.carbon.region, **{f"tags.{k}": v for k, v in spec.tags.items()}}
    return [
        FieldError(field=field, expected="text without the character U+0000", received=text)
        for field, text in texts.items()
        if text and "\0" in text
    ]


def _unpriced(spec: JobSpec, price: CarbonIntensity) -> Iterable[FieldError]:
    """A limit in grams that could not be kept."""
    limit_g = spec.limits.emissions_g
    if limit_g is not None and price.g_per_kwh is None:
        yield FieldError(
            field="limits.emissions_g",
            expected="a carbon intensity beside it: give carbon.country_iso_code or "
            "carbon.intensity_g_per_kwh, or set TRAINWATT_COUNTRY_ISO_CODE",
            received=limit_g,
        )


def _misfits(spec: JobSpec, facts: WorkloadFacts, hosts: tuple[Host, ...]) -> Iterable[FieldError]:
    """What no known host can give. Where no host is known, one may still come."""
    able = [host.facts for host in hosts if _listens(host, spec)] or [h.facts for h in hosts]
    if not able:
        return
    memory_gib = max(min(host.memory_gib, host.memory_limit_gib or math.inf) for host in able)
    if facts.memory_bytes > memory_gib * BYTES_PER_GIB:
        needed = facts.memory_bytes / BYTES_PER_GIB
        yield FieldError(
            field="size",
            expected=f"a model that fits {memory_gib:.1f} GiB, the largest known host's memory"
            f" (this one needs about {needed:.1f} GiB)",
            received=spec.size if isinstance(spec.size, str) else spec.size.model_dump(),
        )
    cpus = max(host.logical_cpus for host in able)
    threads = spec.execution.threads
    if isinstance(threads, int) and threads > cpus:
        expected = f"at most {cpus}, the logical CPUs of the largest known host, or auto"
        yield FieldError(field="execution.threads", expected=expected, received=threads)


def _listens(host: Host, spec: JobSpec) -> bool:
    return all(label in (*host.labels, f"host:{host.name}") for label in spec.placement.labels)
