"""Whether a spec can be honoured: by the catalogue, the carbon tables and the known hosts."""

import asyncio
import math
from collections.abc import Iterable
from datetime import UTC, datetime

from app.domain.errors import FieldError, SpecError
from app.domain.hosts import Host, worker_trouble
from app.domain.quantities import CarbonIntensity
from app.domain.specs import JobSpec, WorkloadFacts
from app.service.datasets import Datasets
from app.workloads import catalogue

BYTES_PER_GIB = 2**30


class Checks(Datasets):
    """What is refused before it is queued. Every method may raise UnavailableError."""

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
    able = [host.facts for host in hosts if listens(host, spec)] or [h.facts for h in hosts]
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


def listens(host: Host, spec: JobSpec) -> bool:
    """Whether a host's worker takes the jobs of a spec, by its labels."""
    return all(label in (*host.labels, f"host:{host.name}") for label in spec.placement.labels)
