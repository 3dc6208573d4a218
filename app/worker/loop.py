"""The worker's life: meter and fork server once, then job after job until it is stopped."""

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import procrastinate
from procrastinate.exceptions import ConnectorException

from app.domain.errors import UnavailableError
from app.domain.hosts import Host
from app.metering.host import host_facts
from app.metering.meter import CodecarbonMeter, EnergyMeter
from app.settings import Settings
from app.storage.queue import TASK, make_queue
from app.storage.store import Store
from app.worker import process
from app.worker.attempt import run_job
from app.worker.bench import Bench
from app.worker.gate import check_gate
from app.worker.sweep import sweep

logger = logging.getLogger(__name__)

GIVE_UP_S = 5.0  # in which an orderly end is tried
UNREACHABLE = 3  # the exit code


class Worker:
    """One measuring worker of one host."""

    def __init__(self, settings: Settings, store: Store, meter: EnergyMeter) -> None:
        """Announce nothing yet."""
        facts = host_facts(settings.host_name)
        self._bench = Bench(settings=settings, store=store, meter=meter, host=facts)
        self._started_at = datetime.now(UTC)
        self._ready = False
        self._job: str | None = None
        self._news = asyncio.Event()

    async def run(self, url: str) -> None:
        """Work until a signal stops it or something that it needs is gone."""
        await self._beat()
        await asyncio.to_thread(process.warm_up)
        self._ready = True
        await self._beat()
        await sweep(self._bench)
        queue = make_queue(url)
        queue.task(name=TASK, pass_context=False)(self._train)
        settings = self._bench.settings
        async with queue.open_async(), asyncio.TaskGroup() as aside:
            beats = aside.create_task(_or_give_up(self._beat_on()))
            sweeps = aside.create_task(
                _or_give_up(_every(settings.sweep_interval_s, lambda: sweep(self._bench)))
            )
            await self._work(queue)
            beats.cancel()
            sweeps.cancel()
        self._ready = False
        await self._beat()

    async def _work(self, queue: procrastinate.App) -> None:
        settings = self._bench.settings
        await queue.run_worker_async(
            name=settings.host_name,
            queues=["any", f"host:{settings.host_name}", *settings.labels],
            concurrency=1,
            shutdown_graceful_timeout=0.01,  # a job in hand is put back, not finished
            update_heartbeat_interval=settings.heartbeat_s,
            stalled_worker_timeout=settings.lease_s,
            delete_jobs="always",  # our own table is the truth that users see
        )

    async def _train(self, job_id: str) -> None:
        try:
            await run_job(self._bench, job_id, self._runs)
        finally:
            self._runs(None)

    def _runs(self, job_id: str | None) -> None:
        """Say at once, and not with the next heartbeat, which job runs here."""
        self._job = job_id
        self._news.set()

    async def _beat_on(self) -> None:
        """A sign of life every `heartbeat_s` seconds, and at once where the job has changed."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), self._bench.settings.heartbeat_s)
            self._news.clear()
            await self._beat()

    async def _beat(self) -> None:
        now = datetime.now(UTC)
        await self._bench.store.beat(
            Host(
                name=self._bench.host.name,
                facts=self._bench.host,
                meter=self._bench.meter.facts,
                labels=self._bench.settings.labels,
                ready=self._ready,
                baseline=None,
                started_at=self._started_at,
                last_seen=now,
                current_job=self._job,
            )
        )


async def _or_give_up(work: Coroutine[Any, Any, None]) -> None:
    """Where the database is gone, end this process for certain, and soon.

    The queue's own shutdown asks the database too, and waits a minute for an answer. Whatever is
    left then, the training process first, has a death signal.
    """
    try:
        await work
    except UnavailableError as error:
        timer = threading.Timer(GIVE_UP_S, _end_now, [error])
        timer.daemon = True
        timer.start()
        raise


def _end_now(error: UnavailableError) -> None:
    logger.error("%s", error)
    sys.stderr.write(f"trainwatt worker: {error}\n")
    sys.stderr.flush()
    os._exit(UNREACHABLE)


async def _every(period_s: float, do: Callable[[], Awaitable[object]]) -> None:
    while True:
        await asyncio.sleep(period_s)
        await do()


def main(settings: Settings, url: str) -> None:
    """Run a worker on a migrated database until it is stopped.

    Raises:
        UsageError: the host's lock file cannot be opened.
        UnavailableError: the database or the fork server does not answer.
        MeterError: there is nothing to read energy from.
    """
    check_gate(settings.host_lock)
    process.start_fork_server()  # imports for seconds, meanwhile the meter finds its hardware
    meter = CodecarbonMeter()
    try:
        asyncio.run(_run(settings, url, meter))
    finally:
        meter.close()


async def _run(settings: Settings, url: str, meter: EnergyMeter) -> None:
    store = await Store.open(url)
    try:
        await Worker(settings, store, meter).run(url)
    except (ExceptionGroup, ConnectorException) as failed:
        raise _reason(failed) from failed
    finally:
        await store.close()


def _reason(failed: Exception) -> Exception:
    """The one error to tell of those that ended the worker's tasks together."""
    while isinstance(failed, ExceptionGroup):
        failed = failed.exceptions[0]
    if isinstance(failed, ConnectorException):
        return UnavailableError(f"the database of the queue does not answer ({failed})")
    return failed
