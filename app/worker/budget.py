"""What a job may use over all of its attempts, in joules and grams of CO2e."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.accounting.report import energy_j
from app.domain.errors import SpecError
from app.domain.jobs import Job, JobError, JobStatus
from app.domain.quantities import co2e_g
from app.domain.readings import Readings
from app.domain.reports import AttemptEnergy
from app.worker.bench import Bench
from app.worker.outcome import Cut

TICK_S = 1.0  # between readings at most, where there is a budget to keep


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The limits of a job, and what its earlier attempts have used of them.

    Attributes:
        limit_j: joules; null: no limit.
        limit_g: grams of CO2e; null: no limit.
        g_per_kwh: the carbon intensity; null where it is not needed, or not known here.
        pue: power usage effectiveness.
        spent_j: of the earlier attempts, as far as known.
    """

    limit_j: float | None
    limit_g: float | None
    g_per_kwh: float | None
    pue: float
    spent_j: float

    @property
    def limited(self) -> bool:
        """Whether there is anything to keep."""
        return self.limit_j is not None or self.limit_g is not None

    def overrun(self, ends: Readings) -> Cut | None:
        """Why the run must end now, if it must, from its first and its newest reading.

        A component that cannot be read counts nothing: the sum is a lower bound.
        """
        return self.excess(self.spent_j + (energy_j(ends) or 0.0))

    def excess(self, total_j: float) -> Cut | None:
        """Why a job that has used so much must not go on, if it must not."""
        if self.limit_g is not None and self.g_per_kwh is None:
            return Cut(status=JobStatus.FAILED, error=_UNPRICED)
        total_g = 0.0 if self.g_per_kwh is None else co2e_g(total_j, self.g_per_kwh, self.pue)
        if self.limit_j is not None and total_j >= self.limit_j:
            message = f"stopped at {total_j:.4g} J, by limits.energy_j = {self.limit_j:g} J"
            error = JobError(code="energy_limit", message=message)
        elif self.limit_g is not None and total_g >= self.limit_g:
            message = f"stopped at {total_g:.4g} g CO2e, by limits.emissions_g = {self.limit_g:g} g"
            error = JobError(code="emissions_limit", message=message)
        else:
            return None
        return Cut(status=JobStatus.BUDGET_EXHAUSTED, error=error)


_UNPRICED = JobError(
    code="no_intensity",
    message="limits.emissions_g cannot be kept here: this worker knows no carbon intensity for the "
    "job; set TRAINWATT_COUNTRY_ISO_CODE as the API has it",
)


def budget(bench: Bench, job: Job, earlier: Sequence[AttemptEnergy]) -> Budget:
    """The budget of a job whose earlier attempts are given."""
    limits = job.to_train.limits
    return Budget(
        limit_j=limits.energy_j,
        limit_g=limits.emissions_g,
        g_per_kwh=None if limits.emissions_g is None else _g_per_kwh(bench, job),
        pue=job.to_train.carbon.pue,
        spent_j=sum(attempt.energy_j or 0.0 for attempt in earlier),
    )


def _g_per_kwh(bench: Bench, job: Job) -> float | None:
    try:
        return bench.intensity(job).g_per_kwh
    except SpecError:  # a country that this worker's settings have and its tables do not
        return None
