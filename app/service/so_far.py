"""What a job that still runs has used so far, from the readings that are stored of it."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from app.accounting.report import report
from app.domain.jobs import Job
from app.service.core import Core
from app.workloads import catalogue

if TYPE_CHECKING:
    from app.domain.readings import Readings
    from app.domain.reports import EnergyReport


class SoFar(Core):
    """Running jobs. Every method may raise UnavailableError."""

    async def so_far(self, job: Job) -> "EnergyReport | None":
        """The report as it would be if the job ended now; null before its second reading.

        It reads all that is stored of the attempt: for one look, not for one every second.
        """
        return await self._report(job, await self._store.readings(job.id, job.attempt or None))

    async def at_a_glance(self, job: Job) -> "EnergyReport | None":
        """The same from the first and the two newest readings: totals and power, no phases."""
        return await self._report(job, await self._store.ends(job.id, job.attempt))

    async def _report(self, job: Job, readings: "Readings | None") -> "EnergyReport | None":
        if readings is None or len(readings.readings) < 2:
            return None
        making = partial(
            report,
            readings,
            job_id=job.id,
            spec=job.to_train,
            status=job.status,
            work=catalogue.known_facts(job.to_train),
            intensity=self._intensity(job.to_train),
            earlier=await self._store.attempts(job.id),
        )
        return await asyncio.to_thread(making)
