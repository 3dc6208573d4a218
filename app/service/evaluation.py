"""Stored readings evaluated again: with other assumptions or another price, without a new run."""

import asyncio
import logging
from datetime import datetime

from pydantic import ConfigDict

from app import reference
from app.accounting.assumptions import SETS, AssumptionSet
from app.accounting.report import empty_report, energy_j, report
from app.domain.errors import FieldError, SpecError, StateError
from app.domain.evaluation import Evaluation
from app.domain.jobs import Job, JobStatus
from app.domain.quantities import CarbonIntensity, Frozen
from app.domain.readings import Readings
from app.domain.reports import Assumptions, AttemptEnergy, Emissions, EnergyReport, Work
from app.domain.specs import WorkloadFacts
from app.service.reports import Reports

logger = logging.getLogger(__name__)


class _Stored(Frozen):
    """What an evaluation takes over from the stored report; its other fields are ignored."""

    model_config = ConfigDict(extra="ignore")

    status: JobStatus
    spec_sha256: str
    finished_at: datetime
    emissions: Emissions
    work: Work
    attempts: tuple[AttemptEnergy, ...]
    assumptions: Assumptions
    readings_sha256: str | None

    @property
    def price(self) -> CarbonIntensity:
        """What the report was priced with."""
        priced = self.emissions
        return CarbonIntensity(
            g_per_kwh=priced.intensity_g_per_kwh,
            source=priced.intensity_source,
            year=priced.intensity_year,
            country_iso_code=priced.country_iso_code,
            region=priced.region,
            pue=priced.pue,
            reason=priced.reason if priced.intensity_g_per_kwh is None else None,
        )

    @property
    def earlier(self) -> tuple[AttemptEnergy, ...]:
        """Its attempts but the one that ended with the job, where one did."""
        ended_with_job = bool(self.attempts) and self.attempts[-1].ended == self.status.value
        return self.attempts[:-1] if ended_with_job else self.attempts


class Evaluations(Reports):
    """Reports from stored readings. Every method may raise UnavailableError."""

    async def evaluated(self, job_id: str, wanted: Evaluation) -> bytes:
        """The JSON of the energy report with what is wanted otherwise; as stored, if nothing is.

        The same inputs give the same bytes, whatever the settings are by now.

        Raises:
            SpecError: the assumptions, the country or the region are not known.
            NotFoundError: there is no such job.
            StateError: the job is not final yet, or its readings cannot be accounted for again.
        """
        body = await self.report(job_id)
        if not wanted.asks:
            return body
        stored = _Stored.model_validate_json(body)
        assumptions = _set(wanted.assumptions or stored.assumptions.set)
        price = reference.repriced(stored.price, wanted)
        job = await self._store.get(job_id)
        earlier = await self._earlier(job_id, stored, assumptions)
        newest = await self._measured(job, stored)
        return await asyncio.to_thread(
            _evaluate, job, stored, newest, price=price, earlier=earlier, assumptions=assumptions
        )

    async def _measured(self, job: Job, stored: _Stored) -> Readings | None:
        """The readings behind the stored report; null where it has none."""
        if stored.readings_sha256 is None:
            return None
        found = await self._store.readings(job.id, stored.attempts[-1].attempt)
        if found is None or not found.readings:
            raise _not_again(job, "are not stored any more")
        return found

    async def _earlier(
        self, job_id: str, stored: _Stored, assumptions: AssumptionSet
    ) -> tuple[AttemptEnergy, ...]:
        """The attempts before the last, with the energy that these assumptions give them."""
        if (stored.assumptions.set, stored.assumptions.version) == _named(assumptions):
            return stored.earlier
        return tuple([await self._again(job_id, seen, assumptions) for seen in stored.earlier])

    async def _again(
        self, job_id: str, seen: AttemptEnergy, assumptions: AssumptionSet
    ) -> AttemptEnergy:
        readings = await self._store.readings(job_id, seen.attempt)
        if readings is None or not readings.readings:
            return seen
        joules = await asyncio.to_thread(energy_j, readings, assumptions)
        return seen.model_copy(update={"energy_j": joules})


def _named(assumptions: AssumptionSet) -> tuple[str, str]:
    return assumptions.name, assumptions.version


def _set(name: str) -> AssumptionSet:
    if name not in SETS:
        expected = f"one of {', '.join(SETS)}"
        raise SpecError(FieldError(field="assumptions", expected=expected, received=name))
    return SETS[name]


def _evaluate(
    job: Job,
    stored: _Stored,
    readings: Readings | None,
    *,
    price: CarbonIntensity,
    earlier: tuple[AttemptEnergy, ...],
    assumptions: AssumptionSet,
) -> bytes:
    """The report's JSON; raises StateError where it cannot be computed any more."""
    try:
        found = _report(
            job, stored, readings, price=price, earlier=earlier, assumptions=assumptions
        )
    except Exception as fault:
        logger.exception("job %s: its readings cannot be evaluated again", job.id)
        raise _not_again(job, f"cannot be accounted for any more ({fault})") from fault
    # As they were counted then: a release that writes specs or readings otherwise renames neither.
    same_run = {"spec_sha256": stored.spec_sha256, "readings_sha256": stored.readings_sha256}
    return found.model_copy(update=same_run).model_dump_json().encode()


def _report(
    job: Job,
    stored: _Stored,
    readings: Readings | None,
    *,
    price: CarbonIntensity,
    earlier: tuple[AttemptEnergy, ...],
    assumptions: AssumptionSet,
) -> EnergyReport:
    """As the worker reports, from what the stored report says of the run."""
    if readings is not None:
        return report(
            readings,
            job_id=job.id,
            spec=job.asked,
            status=stored.status,
            work=_facts(stored.work),
            intensity=price,
            earlier=earlier,
            assumptions=assumptions,
        )
    ended_with_job = len(stored.attempts) > len(stored.earlier)
    return empty_report(
        job_id=job.id,
        spec=job.asked,
        status=stored.status,
        work=_facts(stored.work),
        intensity=price,
        finished_at=stored.finished_at,
        earlier=earlier,
        lost=stored.attempts[-1] if ended_with_job else None,
        assumptions=assumptions,
    )


def _facts(work: Work) -> WorkloadFacts:
    """What the report says of the model: a catalogue that counts otherwise does not change it."""
    return WorkloadFacts(
        parameters=work.parameters,
        layers=work.layers,
        flops_per_sample=work.flops_per_sample,
        flops_reason=work.flops_reason,
        parameters_reason=work.parameters_reason,
        input_shape=(),
        classes=0,
        training_samples=0,
        validation_samples=0,
        test_samples=0,
        memory_bytes=0,
    )


def _not_again(job: Job, why: str) -> StateError:
    message = (
        f"The readings of job {job.id} {why}: its report can be had as it is stored, without "
        "parameters."
    )
    return StateError(message, status=job.status)
