"""A job that knows the client that it came from: `submit(spec).wait().report()`."""

import asyncio
import math
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Self

from pydantic import PrivateAttr

from app.client.models import Report
from app.domain.events import JobEvent
from app.domain.jobs import Job
from app.words.jobs import says

if TYPE_CHECKING:
    from app.client.aio import AsyncClient
    from app.client.sync import Client

POLL_S = 0.5


class _KnownJob(Job):
    """Equal to every job that says the same, whichever client it came from."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and dict(self) == dict(other)

    def __hash__(self) -> int:
        return hash(self.id)


class TrackedJob(_KnownJob):
    """A job as it was when it was asked for."""

    _client: "Client" = PrivateAttr()

    @classmethod
    def of(cls, job: Job, client: "Client") -> Self:
        """This job, of that client."""
        made = cls(**dict(job))
        made._client = client
        return made

    def refresh(self) -> "TrackedJob":
        """The job as it is now; errors as `Client.get`."""
        return self._client.get(self.id)

    def wait(self, timeout_s: float = math.inf, *, progress: bool = False) -> "TrackedJob":
        """The job once it is final.

        Args:
            timeout_s: seconds to wait at most.
            progress: print a line to standard error where its stage or epoch changes.

        Raises:
            TimeoutError: it is not final after so many seconds.
            UnavailableError: the service does not answer.
        """
        deadline_s, shown = time.monotonic() + timeout_s, _Shown(progress)
        job = self
        while True:
            shown.tell(job)
            if job.status.final:
                return job
            if time.monotonic() >= deadline_s:
                raise TimeoutError(_late(job, timeout_s))
            time.sleep(POLL_S)
            job = job.refresh()

    def events(self) -> Iterator[JobEvent]:
        """What happens to it until its final status; errors as `Client.events`."""
        return self._client.events(self.id)

    def cancel(self) -> "TrackedJob":
        """Ask for its end; errors as `Client.cancel`."""
        return self._client.cancel(self.id)

    def report(self, **evaluation: Any) -> Report:
        """Its energy report; parameters and errors as `Client.report`."""
        return self._client.report(self.id, **evaluation)


class AsyncJob(_KnownJob):
    """The same of an `AsyncClient`."""

    _client: "AsyncClient" = PrivateAttr()

    @classmethod
    def of(cls, job: Job, client: "AsyncClient") -> Self:
        """This job, of that client."""
        made = cls(**dict(job))
        made._client = client
        return made

    async def refresh(self) -> "AsyncJob":
        """The job as it is now; errors as `AsyncClient.get`."""
        return await self._client.get(self.id)

    async def wait(self, timeout_s: float = math.inf, *, progress: bool = False) -> "AsyncJob":
        """The job once it is final; arguments and errors as `TrackedJob.wait`."""
        deadline_s, shown = time.monotonic() + timeout_s, _Shown(progress)
        job = self
        while True:
            shown.tell(job)
            if job.status.final:
                return job
            if time.monotonic() >= deadline_s:
                raise TimeoutError(_late(job, timeout_s))
            await asyncio.sleep(POLL_S)
            job = await job.refresh()

    def events(self) -> AsyncIterator[JobEvent]:
        """What happens to it until its final status; errors as `AsyncClient.events`."""
        return self._client.events(self.id)

    async def cancel(self) -> "AsyncJob":
        """Ask for its end; errors as `AsyncClient.cancel`."""
        return await self._client.cancel(self.id)

    async def report(self, **evaluation: Any) -> Report:
        """Its energy report; parameters and errors as `AsyncClient.report`."""
        return await self._client.report(self.id, **evaluation)


class _Shown:
    """Lines to standard error, each once."""

    def __init__(self, wanted: bool) -> None:
        self._wanted, self._last = wanted, ""

    def tell(self, job: Job) -> None:
        line = says(job)
        if self._wanted and line != self._last:
            sys.stderr.write(f"{line}\n")
        self._last = line


def _late(job: Job, timeout_s: float) -> str:
    return f"job {job.id} is {job.status.value} after {timeout_s:g} s"
