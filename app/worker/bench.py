"""What a worker measures with, made once and used for every job, and how it accounts for one."""

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from app import reference
from app.accounting.report import empty_report, report
from app.domain.jobs import Job, JobError, JobStatus, Stage
from app.domain.quantities import CarbonIntensity
from app.domain.readings import HostFacts, Readings
from app.domain.reports import AttemptEnergy, EnergyReport
from app.metering.meter import EnergyMeter
from app.settings import Settings
from app.storage.store import Store
from app.worker.idle_monitor import IdleMonitor
from app.worker.watchdog import Watchdog
from app.workloads import catalogue

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a worker measures with; made once, used for every job."""

    settings: Settings
    store: Store
    meter: EnergyMeter
    host: HostFacts
    watchdog: Watchdog = field(default_factory=Watchdog)  # this one never gives up
    matmul_flops_per_s: dict[str, float] = field(default_factory=dict)  # once it is measured

    @cached_property
    def idle_monitor(self) -> IdleMonitor:
        """What is known of the host between jobs: how quiet it is, and its idle power."""
        return IdleMonitor(self.settings, self.meter, self.host, self.watchdog.lose)

    @property
    def host_now(self) -> HostFacts:
        """The host's facts with what was measured since."""
        return self.host.model_copy(update={"matmul_flops_per_s": {**self.matmul_flops_per_s}})

    @property
    def cache_dir(self) -> Path:
        """Where data sets are kept between jobs."""
        return self.settings.data_dir / "cache"

    def intensity(self, job: Job) -> CarbonIntensity:
        """The price of a job's kilowatt-hour.

        Raises:
            SpecError: the settings or the spec name a country that is not in the tables.
        """
        return reference.intensity(
            job.to_train.carbon,
            default_country=self.settings.country_iso_code,
            default_region=self.settings.region,
        )

    def account(
        self,
        job: Job,
        readings: Readings | None,
        status: JobStatus,
        earlier: tuple[AttemptEnergy, ...],
    ) -> EnergyReport:
        """The report of a job's newest attempt."""
        priced = self.intensity(job)
        work = catalogue.known_facts(job.to_train)
        if readings is None or not readings.readings:
            return empty_report(
                job_id=job.id,
                spec=job.to_train,
                status=status,
                work=work,
                intensity=priced,
                finished_at=datetime.now(UTC),
                earlier=earlier,
                lost=_without_energy(job, status),
            )
        return report(
            readings,
            job_id=job.id,
            spec=job.to_train,
            status=status,
            work=work,
            intensity=priced,
            earlier=earlier,
        )

    def conclude(
        self,
        job: Job,
        readings: Readings | None,
        status: JobStatus,
        error: JobError | None,
        earlier: tuple[AttemptEnergy, ...],
    ) -> tuple[JobStatus, JobError | None, EnergyReport]:
        """How a job ends, with its report; it fails where none can be computed."""
        try:
            return status, error, self.account(job, readings, status, earlier)
        except Exception as fault:
            logger.exception("job %s: no report can be computed", job.id)
            failed = JobStatus.FAILED
            return failed, _report_failed(fault), self._no_report(job, failed, earlier)

    def _no_report(
        self, job: Job, status: JobStatus, earlier: tuple[AttemptEnergy, ...]
    ) -> EnergyReport:
        """A report without figures, where computing one has failed; the readings are kept."""
        unpriced = CarbonIntensity(
            g_per_kwh=None,
            source=None,
            year=None,
            country_iso_code=None,
            region=None,
            pue=job.to_train.carbon.pue,
            reason="report_failed",
        )
        return empty_report(
            job_id=job.id,
            spec=job.to_train,
            status=status,
            work=catalogue.known_facts(job.to_train),
            intensity=unpriced,
            finished_at=datetime.now(UTC),
            earlier=earlier,
            lost=_without_energy(job, status),
        )


def _without_energy(job: Job, status: JobStatus) -> AttemptEnergy | None:
    """The attempt that ends here, of which no figure is known; null where it has not begun."""
    if job.stage is Stage.WAITING_FOR_QUIET:
        return None
    return AttemptEnergy(attempt=job.attempt, ended=status.value, energy_j=None)


def _report_failed(fault: Exception) -> JobError:
    """Why a job has no figures although it ran."""
    return JobError(
        code="report_failed",
        message=f"its readings are stored, but no report could be computed from them ({fault}); "
        "see the worker's log",
    )
