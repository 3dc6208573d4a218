"""Experiments as users ask for them: checked whole, made in one transaction, shown, cancelled."""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from app.analysis.experiments import result
from app.domain.errors import FieldError, OverBudgetError, SpecError, StateError
from app.domain.experiments import Experiment, ExperimentResult, ExperimentSpec, Variant, label
from app.domain.quotes import Quoted
from app.domain.specs import JobSpec
from app.service.jobs import Jobs
from app.service.quotes import within_budget
from app.words.experiments import sentences

if TYPE_CHECKING:
    from app.storage.store import ExperimentPage, Placed

Given = tuple[str, JobSpec]  # where a variant stands in the body, and its job spec
Known = tuple[JobSpec, Quoted]  # a variant's job spec, with all that the service fills in


class Experiments(Jobs):
    """The experiments. Every method may raise UnavailableError."""

    async def create_experiment(
        self, spec: ExperimentSpec, placed: Sequence[Given], *, force: bool = False
    ) -> Experiment:
        """Queue every repeat of every variant, or nothing.

        Args:
            spec: what was asked for.
            placed: the job spec of each variant, and where it stands.
            force: take it too where jobs are expected to exceed their own limits.

        Raises:
            SpecError: a variant cannot be honoured, two are the same, or there are too many jobs.
            OverBudgetError: the jobs of a variant are expected to exceed a limit that they have.
            QueueFullError: the queue has no room for all of them.
        """
        self._check_count(spec, len(placed))
        self._check_price(spec, placed)
        known = [await self._variant(place, one, force=force) for place, one in placed]
        resolved = [one for one, _ in known]
        changes = spec.changes()
        variants = [
            Variant(number=number, label=label(changed), spec_sha256=one.sha256())
            for number, (changed, one) in enumerate(zip(changes, resolved, strict=True))
        ]
        _refuse_twins([place for place, _ in placed], variants)
        return await self._store.add_experiment(
            spec, variants, _jobs(spec, known), max_queued=self._settings.max_queued_jobs
        )

    def _check_count(self, spec: ExperimentSpec, variants: int) -> None:
        count, most = variants * spec.most, self._settings.max_experiment_jobs
        if count > most:
            expected = (
                f"at most {most} jobs in all (TRAINWATT_MAX_EXPERIMENT_JOBS): fewer variants or "
                "repeats"
            )
            received = f"{variants} variants, {spec.most} repeats each: {count} jobs"
            raise SpecError(FieldError(field="repeats", expected=expected, received=received))

    def _check_price(self, spec: ExperimentSpec, placed: Sequence[Given]) -> None:
        """A budget in grams that could not be kept is refused."""
        limit_g = spec.budget.emissions_g
        for place, one in placed if limit_g is not None else ():
            try:
                known = self._intensity(one).g_per_kwh is not None
            except SpecError as error:
                raise error.within(place) from error
            if not known:
                expected = f"a carbon intensity of every variant: give {place} a country"
                raise SpecError(
                    FieldError(field="budget.emissions_g", expected=expected, received=limit_g)
                )

    async def _variant(self, place: str, spec: JobSpec, *, force: bool) -> Known:
        try:
            resolved = await self._resolved(spec)
            quoted, quotes = await self._quoted(resolved, await self._check(resolved))
            if not force:
                within_budget(resolved, quotes)
        except SpecError as error:
            raise error.within(place) from error
        except OverBudgetError as error:
            limit = replace(error.limit, field=f"{place}.{error.limit.field}")
            raise OverBudgetError(f"{place}: {error}", limit=limit, quote=error.quote) from error
        return resolved, quoted

    async def experiment(self, experiment_id: str) -> Experiment:
        """The experiment; NotFoundError where there is none."""
        return await self._store.experiment(experiment_id)

    async def experiment_result(self, experiment: Experiment) -> ExperimentResult:
        """What is known of it so far, with its sentences."""
        runs = await self._store.runs(experiment.id)
        spec, variants = experiment.spec, experiment.variants
        found = await asyncio.to_thread(result, spec, variants, runs)
        rows = [run.row for run in runs if run.row]
        said = tuple(sentences(spec, found, rows))
        return found.model_copy(update={"sentences": said})

    async def list_experiments(
        self, *, limit: int = 50, cursor: str | None = None
    ) -> "ExperimentPage":
        """A page of experiments, newest first; SpecError where the cursor is none of ours."""
        return await self._store.list_experiments(limit=limit, cursor=cursor)

    async def cancel_experiment(self, experiment_id: str) -> Experiment:
        """End an experiment: its waiting jobs at once, the running one by its worker.

        Raises:
            NotFoundError: there is no such experiment.
            StateError: it has ended.
        """
        seen = await self._store.experiment(experiment_id)
        if not await self._store.end_experiment(experiment_id, "cancelled"):
            ended = (await self._store.experiment(experiment_id)).ended
            message = f"Experiment {seen.id} has ended already ({ended})."
            raise StateError(message, status=str(ended))
        for job_id in await self._store.unfinished(experiment_id):
            with contextlib.suppress(StateError):  # it ended meanwhile
                await self.cancel(job_id)
        return await self._store.experiment(experiment_id)


def _refuse_twins(places: Sequence[str], variants: Sequence[Variant]) -> None:
    """Two variants that are the same training would be compared with themselves.

    Raises:
        SpecError: there are two.
    """
    seen: dict[str, str] = {}
    for place, variant in zip(places, variants, strict=True):
        if twin := seen.get(variant.spec_sha256):
            expected = f"another training than {twin}"
            raise SpecError(FieldError(field=place, expected=expected, received=variant.label))
        seen[variant.spec_sha256] = place


def _jobs(spec: ExperimentSpec, known: Sequence[Known]) -> list["Placed"]:
    """Every job in the order in which they are queued."""
    from app.storage.store import Placed

    chance = random.Random(spec.order_seed)  # noqa: S311 -- no secret
    changes = spec.changes()
    order: list[tuple[int, int]] = []
    for block in range(spec.most):
        numbers = list(range(len(known)))
        if spec.order == "blocks":
            chance.shuffle(numbers)
        order += [(block, number) for number in numbers]
    if spec.order == "sequential":
        order.sort(key=lambda place: place[1])
    return [
        Placed(
            spec=_seeded(known[number][0], block, varies="seed" not in changes[number])
            if spec.vary_seed
            else known[number][0],
            variant=number,
            block=block,
            quoted=known[number][1],
        )
        for block, number in order
    ]


def _seeded(spec: JobSpec, block: int, *, varies: bool) -> JobSpec:
    """The spec with the block's seed, unless the variant has one of its own."""
    if not varies:
        return spec
    return spec.model_copy(update={"seed": (spec.seed + block) % 2**31})
