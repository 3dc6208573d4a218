"""Two jobs compared: the ratio of their energies, and whether it survives other assumptions."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from app.accounting.assumptions import SETS
from app.analysis.compare import compare
from app.analysis.experiments import Run, pairs
from app.analysis.intervals import NONE, Interval
from app.domain.comparisons import Comparison
from app.domain.errors import FieldError, NotFoundError, SpecError, StateError
from app.domain.evaluation import Evaluation
from app.domain.jobs import JobStatus
from app.domain.reports import EnergyReport
from app.service.evaluation import Evaluations
from app.words.compare import caveats, verdict

NOT_AGAIN = (
    "Readings of these jobs cannot be accounted for again: the ratios under other sets of "
    "assumptions are left out."
)


class Comparisons(Evaluations):
    """Verdicts. Every method may raise UnavailableError."""

    async def compare(self, a: str, b: str) -> Comparison:
        """B's energy over A's, of jobs that succeeded.

        Args:
            a: a job, or `EXPERIMENT:NUMBER`, all runs of a variant that succeeded, from 0.
            b: the other one.

        Raises:
            SpecError: both are the same.
            NotFoundError: there is no such job, experiment or variant.
            StateError: a job is not final, or did not succeed; no run of a variant did.
        """
        one, other = await self._side(a), await self._side(b)
        if {r.job_id for r in one.reports} & {r.job_id for r in other.reports}:
            raise SpecError(FieldError(field="b", expected="another job than a", received=b))
        return await self.compare_sides(one.reports, other.reports, _differ(one, other))

    async def compare_sides(
        self, a: Sequence[EnergyReport], b: Sequence[EnergyReport], runs: Interval = NONE
    ) -> Comparison:
        """The same of two sides that may have several runs each, by their reports.

        Args:
            a: of one side.
            b: of the other.
            runs: the ratio's interval by how much the runs of each side differ.
        """
        by_set, notes = {}, []
        try:
            for name in SETS:
                by_set[name] = (await self._under(a, name), await self._under(b, name))
        except StateError:
            notes, by_set = [NOT_AGAIN], {}
        found = await asyncio.to_thread(compare, a, b, by_set, runs)
        said = (verdict(found), *caveats([*a, *b], repeated=None not in runs), *notes)
        return found.model_copy(update={"sentences": said})

    async def _side(self, name: str) -> "_Side":
        experiment, colon, number = name.partition(":")
        if not colon:
            return _Side(reports=(await self._succeeded(name),))
        made = await self._store.experiment(experiment)
        if int(number) >= len(made.variants):
            raise NotFoundError(f"experiment {experiment} has no variant {number}")
        runs = [
            run
            for run in await self._store.runs(experiment)
            if run.variant == int(number) and run.row and run.status is JobStatus.SUCCEEDED
        ]
        if not runs:
            standing = "running" if made.ended is None else made.ended
            message = f"No run of variant {number} of experiment {experiment} has succeeded."
            raise StateError(message, status=standing)
        reports = [await self._succeeded(run.row.job_id) for run in runs if run.row]
        blocks = experiment if made.spec.order == "blocks" else None
        return _Side(reports=tuple(reports), runs=tuple(runs), blocks=blocks)

    async def _succeeded(self, job_id: str) -> EnergyReport:
        report = await _parsed(await self.report(job_id))
        if report.status is not JobStatus.SUCCEEDED:
            raise StateError(
                f"Job {job_id} is {report.status}: expected one that succeeded, since energies of "
                "trainings that did not run to their end cannot be set against each other.",
                status=report.status,
            )
        return report

    async def _under(self, side: Sequence[EnergyReport], name: str) -> list[EnergyReport]:
        """The reports under one set of assumptions."""
        return [
            report
            if report.assumptions.set == name and report.assumptions.version == SETS[name].version
            else await _parsed(await self.evaluated(report.job_id, Evaluation(assumptions=name)))
            for report in side
        ]


async def _parsed(body: bytes) -> EnergyReport:
    """A report, which may be long."""
    return await asyncio.to_thread(EnergyReport.model_validate_json, body)


@dataclass(frozen=True, kw_only=True)
class _Side:
    """A job, or the runs of a variant; `blocks`: the experiment whose blocks they ran in."""

    reports: tuple[EnergyReport, ...]
    runs: tuple[Run, ...] = ()
    blocks: str | None = None


def _differ(a: _Side, b: _Side) -> Interval:
    """The interval of the ratio by how much runs differ: paired where both ran in one's blocks."""
    if min(len(a.runs), len(b.runs)) < 2:
        return NONE
    paired = a.blocks is not None and a.blocks == b.blocks
    found = pairs({0: a.runs, 1: b.runs}, paired=paired)
    return (found[0].low, found[0].high) if found else NONE
