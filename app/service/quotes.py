"""Quotes: what a job is expected to cost where it may run, and how such figures have held."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from app.analysis.quotes import from_pilot, like, pilot_spec, predict, track, work
from app.domain.errors import FieldError, OverBudgetError, SpecError
from app.domain.jobs import Job, JobStatus
from app.domain.quantities import co2e_g
from app.domain.quotes import Basis, Predicted, Quote, Quoted, QuoteRecord, TrackRecord, Why, Work
from app.domain.reports import EnergyReport
from app.domain.specs import LABEL, JobSpec, Placement, WorkloadFacts
from app.service.checks import Checks, listens
from app.words.quotes import excess, sentence

PILOTS_LAST = timedelta(days=30)  # then a host, or what is installed there, may be another one
AGAIN_AFTER = timedelta(minutes=10)  # so that who asks again and again does not run it each time


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
        quote = (await self._quoted(spec, facts, host))[0].quote
        asked = pilot_spec(spec, facts)
        done = quote.basis != "none" or quote.pending or quote.reason == "no_energy"
        if not pilot or asked is None or done or await self._is_fresh(quote):
            return quote
        started = await self._store.submit(
            _placed(asked, host),
            max_queued=self._settings.max_queued_jobs,
            key=f"pilot\n{asked.sha256()}\n{host}\n{quote.pilot_job}",  # of two at once one is made
        )
        waiting = {"pilot_job": started.id, "reason": "few_like_jobs"}
        return _said(quote.model_copy(update=waiting))

    async def _is_fresh(self, quote: Quote) -> bool:
        """Whether a pilot that did not succeed has ended so lately that it is not run again."""
        if quote.pilot_job is None:
            return False
        pilot = await self._store.get(quote.pilot_job)
        if pilot.status is JobStatus.CANCELLED or pilot.finished_at is None:
            return False
        return datetime.now(UTC) - pilot.finished_at < AGAIN_AFTER

    async def track_record(self) -> TrackRecord:
        """How quotes have held: of all jobs, and by host and family."""
        return await asyncio.to_thread(_tracks, await self._store.quote_records())

    async def _quoted(
        self, spec: JobSpec, facts: WorkloadFacts, host: str | None = None
    ) -> tuple[Quoted, tuple[Quote, ...]]:
        """The work and the quote of a spec that was checked, and its quotes on every host."""
        wanted = work(spec, facts)
        quotes = [
            await self._on(name, spec, facts, wanted) for name in await self._candidates(spec, host)
        ] or [self._without(spec, "no_host", None, 0)]
        return Quoted(work=wanted, quote=_said(min(quotes, key=_rank))), tuple(quotes)

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

    async def _on(self, host: str, spec: JobSpec, facts: WorkloadFacts, wanted: Work) -> Quote:
        past = await self._store.past(spec.model_type, host)
        told = await asyncio.to_thread(predict, wanted, past)
        if told is not None:
            basis, count, predicted = told
            return self._with(spec, predicted, basis, host, count)
        alike = sum(like(wanted, one.work) for one in past)
        asked = pilot_spec(spec, facts)
        if asked is None:
            return self._without(spec, "no_pilot", host, alike)
        quote = self._without(spec, "few_like_jobs", host, alike)
        return await self._by_pilot(asked, spec, wanted, quote)

    async def _by_pilot(self, asked: JobSpec, spec: JobSpec, wanted: Work, quote: Quote) -> Quote:
        """From the pilot of the spec on the quote's host, where one was run."""
        since = datetime.now(UTC) - PILOTS_LAST
        pilot = await self._store.newest(
            asked.sha256(),
            host=str(quote.host),
            labels=(*spec.placement.labels, f"host:{quote.host}"),
            since=since,
        )
        if pilot is None:
            return quote
        if pilot.status is JobStatus.SUCCEEDED:
            return await self._from(pilot, spec, wanted, quote)
        reason = "pilot_failed" if pilot.status.final else "few_like_jobs"
        return quote.model_copy(update={"pilot_job": pilot.id, "reason": reason})

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


def within_budget(spec: JobSpec, quotes: Sequence[Quote]) -> None:
    """See that a job may keep its limits on one of the hosts that may take it.

    One that may end early may, whatever its quote is.

    Args:
        spec: the job.
        quotes: on every host that may take it, one or more.

    Raises:
        OverBudgetError: on each of them the low end of its quote is above a limit.
    """
    if spec.target_accuracy is not None or spec.early_stopping is not None:
        return
    over = [(quote, told) for quote in quotes if (told := excess(spec.limits, quote))]
    if len(over) == len(quotes):
        quote, (limit, why) = min(over, key=lambda pair: _rank(pair[0]))
        raise OverBudgetError(why, limit=limit, quote=_said(quote).model_dump(mode="json"))


def _said(quote: Quote) -> Quote:
    """The quote with what it says in words."""
    return quote.model_copy(update={"sentence": sentence(quote)})


def _rank(quote: Quote) -> tuple[bool, float]:
    """Those with figures first, the least energy first; else the most like jobs."""
    energy_j = quote.energy_j
    return energy_j is None, -quote.like_jobs if energy_j is None else energy_j


def _placed(spec: JobSpec, host: str | None) -> JobSpec:
    """The spec, on this host where one is given.

    Raises:
        SpecError: the host's name is none that a job can be placed by.
    """
    if host is None:
        return spec
    if not re.fullmatch(LABEL, f"host:{host}"):
        expected = f"a host whose name can be a label, matching {LABEL} with host: before it"
        raise SpecError(FieldError(field="host", expected=expected, received=host))
    return spec.model_copy(update={"placement": Placement(labels=(f"host:{host}",))})
