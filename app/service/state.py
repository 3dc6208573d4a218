"""Where can be trained, and whether that works now."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from app.domain.errors import UnavailableError
from app.domain.hosts import Host, no_taker, worker_trouble
from app.domain.jobs import Job, JobStatus
from app.service.core import Core

if TYPE_CHECKING:
    from app.storage.store import Figures


READY_S = 5.0


class State(Core):
    """Hosts and readiness."""

    async def hosts(self) -> tuple[Host, ...]:
        """Every host whose worker has announced itself."""
        return await self._store.hosts()

    async def stuck(self, job: Job) -> str:
        """Why no worker takes a job that waits, in words; nothing where one may."""
        if job.status is not JobStatus.QUEUED or not job.to_train.placement.labels:
            return ""
        return no_taker(job.to_train.placement.labels, await self._store.hosts())

    def trouble(self, host: Host) -> str | None:
        """Why the worker of a host is not counted on, in a sentence; null where it is."""
        now, lease_s = datetime.now(UTC), self._settings.lease_s
        return worker_trouble((host,), host.name, now=now, lease_s=lease_s)

    async def figures(self) -> "Figures":
        """What is counted over all jobs and hosts, as of now."""
        return await self._store.figures()

    async def unready(self) -> tuple[str, ...]:
        """Why jobs cannot be served yet, a sentence each; nothing where they can.

        A database that hangs is left alone with the question after `READY_S` seconds.
        """
        asking = asyncio.ensure_future(self._unready())
        try:
            if (await asyncio.wait({asking}, timeout=READY_S))[0]:
                return asking.result()
        finally:
            asking.cancel()
        return (f"The database has not answered for {READY_S:g} s.",)

    async def _unready(self) -> tuple[str, ...]:
        settings = self._settings
        try:
            await self._store.ping()
            if not settings.supervised:  # workers come and go by themselves
                return ()
            hosts = await self._store.hosts()
        except UnavailableError as error:
            return (str(error),)
        trouble = worker_trouble(
            hosts, settings.host_name, now=datetime.now(UTC), lease_s=settings.lease_s
        )
        return (trouble,) if trouble else ()
