"""What jobs leave behind: reports, and the readings that they are computed from."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from app.domain.errors import NotFoundError, StateError
from app.domain.jobs import EVERY_JOB, Job, JobFilter
from app.domain.readings import Readings
from app.domain.report_rows import NEWEST_FIRST, ReportRow, ReportSort
from app.service.core import Core
from app.service.kept import KeptReports
from app.settings import Settings

if TYPE_CHECKING:
    from app.storage.store import RowPage, Store

KEPT_BYTES = 32 * 2**20


class Reports(Core):
    """The reports. Every method may raise UnavailableError."""

    def __init__(self, store: "Store", settings: Settings) -> None:
        """Serve what this store holds, and keep reports that were asked for."""
        super().__init__(store, settings)
        self._kept = KeptReports(KEPT_BYTES)

    async def report(self, job_id: str) -> bytes:
        """The stored JSON of the energy report; one that was asked for lately needs no database.

        Raises:
            NotFoundError: there is no such job.
            StateError: the job is not final yet.
        """
        kept = self._kept.get(job_id)
        if kept is not None:
            return kept
        body = await self._store.report(job_id)
        if body is None:
            raise _not_yet(await self._store.get(job_id), "report")
        self._kept.keep(job_id, body)
        return body

    async def report_rows(
        self,
        wanted: JobFilter = EVERY_JOB,
        *,
        sort: ReportSort = NEWEST_FIRST,
        limit: int = 50,
        cursor: str | None = None,
    ) -> "RowPage":
        """A page of flat rows; SpecError where the cursor is none of this sort."""
        return await self._store.report_rows(wanted, sort=sort, limit=limit, cursor=cursor)

    async def rows_of(self, jobs: Iterable[Job]) -> dict[str, ReportRow]:
        """The flat rows of jobs, by identifier; without those that have no report yet."""
        ids = [job.id for job in jobs if job.status.final]
        found = await self._store.rows_of(ids) if ids else {}
        return {job_id: ReportRow.model_validate_json(row) for job_id, row in found.items()}

    async def readings(self, job_id: str, attempt: int | None = None) -> Readings:
        """The raw readings of an attempt, of the newest where none is named.

        Raises:
            NotFoundError: there is no such job, or no such attempt of it.
            StateError: the job did not start yet.
        """
        found = await self._store.readings(job_id, attempt)
        if found is None:
            raise await self._no_readings(job_id, attempt)
        return found

    async def readings_json(self, job_id: str, attempt: int | None = None) -> bytes:
        """The same as JSON, as it is stored.

        Raises:
            NotFoundError: there is no such job, or no such attempt of it.
            StateError: the job did not start yet.
        """
        found = await self._store.readings_json(job_id, attempt)
        if found is None:
            raise await self._no_readings(job_id, attempt)
        return found

    async def _no_readings(self, job_id: str, attempt: int | None) -> NotFoundError | StateError:
        job = await self._store.get(job_id)
        if attempt is None and not job.status.final:
            return _not_yet(job, "readings")
        which = "any attempt" if attempt is None else f"attempt {attempt}"
        return NotFoundError(f"Job {job_id} has no readings of {which}.")


def _not_yet(job: Job, what: str) -> StateError:
    message = f"Job {job.id} is {job.status}: its {what} cannot be had yet."
    return StateError(message, status=job.status)
