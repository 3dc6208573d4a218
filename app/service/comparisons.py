"""Two jobs compared: the ratio of their energies, and whether it survives other assumptions."""

import asyncio
from collections.abc import Sequence

from app.accounting.assumptions import SETS
from app.analysis.compare import compare
from app.domain.comparisons import Comparison
from app.domain.errors import FieldError, SpecError, StateError
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
        """B's energy over A's, of two jobs that succeeded.

        Raises:
            SpecError: both are the same job.
            NotFoundError: there is no such job.
            StateError: one is not final, or did not succeed.
        """
        if a == b:
            raise SpecError(FieldError(field="b", expected="another job than a", received=b))
        return await self.compare_sides((await self._succeeded(a),), (await self._succeeded(b),))

    async def compare_sides(
        self, a: Sequence[EnergyReport], b: Sequence[EnergyReport]
    ) -> Comparison:
        """The same of two sides that may have several runs each, by their reports."""
        by_set, notes = {}, []
        try:
            for name in SETS:
                by_set[name] = (await self._under(a, name), await self._under(b, name))
        except StateError:
            notes, by_set = [NOT_AGAIN], {}
        found = await asyncio.to_thread(compare, a, b, by_set)
        said = (verdict(found), *caveats([*a, *b]), *notes)
        return found.model_copy(update={"sentences": said})

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
