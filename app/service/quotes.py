"""Quotes: what a job is expected to cost where it may run, and how such figures have held."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from app.analysis.quotes import from_pilot, like, pilot_spec, predict, track, work
from app.domain.errors import FieldError, OverBudgetError, SpecError
from app.domain.jobs import Job, JobStatus
from app.domain.quantities import co2e_g
from app.domain.quotes import Basis, Predicted, Quote, Quoted, QuoteRecord, TrackRecord, Why, Work
from app.domain.reports import EnergyReport
from app.domain.specs import JobSpec, Placement, WorkloadFacts
from app.service.checks import Checks, listens
from app.words.quotes import excess


class Quotes(Checks):
    """The quotes. Every method may raise UnavailableError."""

    async def quote(self, spec: JobSpec, *, host: str | None = None, pilot: bool = False) -> Quote:
        """What a job is expected to cost.

        Args:
            spec: the job.
            host: where; null: on the host that may run it for the least.
            pilot: where too few jobs are like it, run a few of its steps. The quote names that job
                in `pilot_job` and has no figures until it has ended: ask again then.

        Raises:
            SpecError: as `check`, of fields of `spec`; or no worker of that `host` takes the job.
            QueueFullError: there is no room for the pilot.
        """
        try:
            spec = await self._resolved(spec)
            facts = await self._check(spec)
        except SpecError as error:
            raise error.within("spec") from error
        quote = (await self._quoted(spec, facts, host)).quote
        if not pilot or quote.basis != "none" or quote.pilot_job is not None:
            return quote
        started = await self._store.submit(
            _placed(pilot_spec(spec, facts), host), max_queued=self._settings.max_queued_jobs
        )
        return quote.model_copy(update={"pilot_job": started.id})

    async def track_record(self) -> TrackRecord:
        """How quotes have held: of all jobs, and by host and family."""
        return await asyncio.to_thread(_tracks, await self._store.quote_records())

    async def _quoted(self, spec: JobSpec, facts: WorkloadFacts, host: str | None = None) -> Quoted:
        """The quote of a spec that was checked, and its work."""
        wanted = work(spec, facts)
        quotes = [
            await self._on(name, spec, wanted) for name in await self._candidates(spec, host)
        ] or [self._without(spec, "no_host", None, 0)]
        quote = min(quotes, key=_rank)
        if quote.basis == "none":
            quote = await self._by_pilot(spec, facts, wanted, quote, host)
        return Quoted(work=wanted, quote=quote)

    async def _candidates(self, spec: JobSpec, host: str | None) -> list[str]:
        """The hosts whose worker may take the job.

        Raises:
            SpecError: none of the host that is wanted does.
        """
        names = [h.name for h in self._living(await self._store.hosts()) if listens(h, spec)]
        if host is None:
            return names
        if host not in names:
            expected = f"a host whose worker takes this job, one of {', '.join(names) or 'none'}"
            raise SpecError(FieldError(field="host", expected=expected, received=host))
        return [host]

    async def _on(self, host: str, spec: JobSpec, wanted: Work) -> Quote:
        past = await self._store.past(spec.model_type, host)
        told = await asyncio.to_thread(predict, wanted, past)
        if told is None:
            alike = sum(like(wanted, one.work) for one in past)
            return self._without(spec, "few_like_jobs", host, alike)
        basis, count, predicted = told
        return self._with(spec, predicted, basis, host, count)

    async def _by_pilot(
        self, spec: JobSpec, facts: WorkloadFacts, wanted: Work, quote: Quote, host: str | None
    ) -> Quote:
        """From the pilot of the spec, where one was run; the quote without figures else."""
        pilot = await self._store.newest(pilot_spec(spec, facts).sha256(), host=host)
        if pilot is None or pilot.status is JobStatus.CANCELLED:
            return quote
        if not pilot.status.final:
            return quote.model_copy(update={"pilot_job": pilot.id})
        if pilot.status is not JobStatus.SUCCEEDED:
            return quote.model_copy(update={"pilot_job": pilot.id, "reason": "pilot_failed"})
        return await self._from(pilot, spec, wanted, quote)

    async def _from(self, pilot: Job, spec: JobSpec, wanted: Work, quote: Quote) -> Quote:
        body = await self._store.report(pilot.id)
        assert body is not None, "a job that succeeded has a report"
        report = await asyncio.to_thread(EnergyReport.model_validate_json, body)
        predicted = from_pilot(wanted, report)
        if predicted is None:
            return quote.model_copy(update={"pilot_job": pilot.id, "reason": "no_energy"})
        told = self._with(spec, predicted, "pilot", pilot.host, quote.like_jobs)
        return told.model_copy(update={"pilot_job": pilot.id})

    def _without(self, spec: JobSpec, reason: Why, host: str | None, like_jobs: int) -> Quote:
        price = self._intensity(spec)
        return Quote(
            basis="none",
            reason=reason,
            host=host,
            model_type=spec.model_type,
            like_jobs=like_jobs,
            intensity_g_per_kwh=price.g_per_kwh,
            pue=price.pue,
        )

    def _with(
        self, spec: JobSpec, predicted: Predicted, basis: Basis, host: str | None, like_jobs: int
    ) -> Quote:
        price = self._intensity(spec)

        def grams(energy_j: float) -> float | None:
            return None if price.g_per_kwh is None else co2e_g(energy_j, price.g_per_kwh, price.pue)

        return Quote(
            basis=basis,
            reason=None,
            host=host,
            model_type=spec.model_type,
            like_jobs=like_jobs,
            **predicted.model_dump(),
            co2e_g=grams(predicted.energy_j),
            co2e_low_g=grams(predicted.energy_low_j),
            co2e_high_g=grams(predicted.energy_high_j),
            intensity_g_per_kwh=price.g_per_kwh,
            pue=price.pue,
        )


def _tracks(records: Sequence[QuoteRecord]) -> TrackRecord:
    groups: dict[tuple[str, str], list[QuoteRecord]] = defaultdict(list)
    for one in records:
        groups[one.host, one.model_type].append(one)
    tracks = (
        track(ones, host=host, model_type=family) for (host, family), ones in sorted(groups.items())
    )
    return TrackRecord(overall=track(records) if records else None, items=tuple(tracks))


def within_budget(spec: JobSpec, quote: Quote) -> None:
    """See that a job may keep its limits; one that may end early may, whatever its quote is.

    Raises:
        OverBudgetError: the low end of its quote is above one of them.
    """
    if spec.target_accuracy is not None or spec.early_stopping is not None:
        return
    if told := excess(spec.limits, quote):
        field, sentence = told
        raise OverBudgetError(sentence, field=field, quote=quote.model_dump(mode="json"))


def _rank(quote: Quote) -> tuple[bool, float]:
    """Those with figures first, the lowest low end first; else the most like jobs."""
    low_j = quote.energy_low_j
    return low_j is None, -quote.like_jobs if low_j is None else low_j


def _placed(spec: JobSpec, host: str | None) -> JobSpec:
    """The spec, on this host where one is given."""
    if host is None:
        return spec
    return spec.model_copy(update={"placement": Placement(labels=(f"host:{host}",))})
