"""What jobs leave behind: reports, and the readings that they are computed from."""

from app.domain.errors import NotFoundError, StateError
from app.domain.jobs import Job
from app.domain.readings import Readings
from app.service.core import Core


class Reports(Core):
    """The reports. Every method may raise UnavailableError."""

    async def report(self, job_id: str) -> bytes:
        """The stored JSON of the energy report.

        Raises:
            NotFoundError: there is no such job.
            StateError: the job is not final yet.
        """
        body = await self._store.report(job_id)
        if body is None:
            raise _not_yet(await self._store.get(job_id), "report")
        return body

    async def readings(self, job_id: str, attempt: int | None = None) -> Readings:
        """The raw readings of an attempt, of the newest where none is named.

        Raises:
            NotFoundError: there is no such job, or no such attempt of it.
            StateError: the job did not start yet.
        """
        found = await self._store.readings(job_id, attempt)
        if found is not None:
            return found
        job = await self._store.get(job_id)
        if attempt is None and not job.status.final:
            raise _not_yet(job, "readings")
        which = "any attempt" if attempt is None else f"attempt {attempt}"
        raise NotFoundError(f"Job {job_id} has no readings of {which}.")


def _not_yet(job: Job, what: str) -> StateError:
    message = f"Job {job.id} is {job.status}: its {what} cannot be had yet."
    return StateError(message, status=job.status)
