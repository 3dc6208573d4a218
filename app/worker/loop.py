"""The worker's life: meter and fork server once, then job after job until it is stopped."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import procrastinate

from app.domain.hosts import Host
from app.metering.host import host_facts
from app.metering.meter import CodecarbonMeter, EnergyMeter
from app.settings import Settings
from app.storage.queue import TASK, make_queue
from app.storage.store import Store
from app.worker import process
from app.worker.attempt import Bench, run_job
from app.worker.sweep import sweep

logger = logging.getLogger(__name__)


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
            beats = aside.create_task(self._beat_on())
            sweeps = aside.create_task(
                _every(settings.sweep_interval_s, lambda: sweep(self._bench))
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
        self._job = job_id
        self._news.set()
        try:
            await run_job(self._bench, job_id)
        finally:
            self._job = None
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


async def _every(period_s: float, do: Callable[[], Awaitable[object]]) -> None:
    while True:
        await asyncio.sleep(period_s)
        await do()


def main(settings: Settings, url: str) -> None:
    """Run a worker on a migrated database until it is stopped.

    Raises:
        UnavailableError: the database or the fork server does not answer.
        MeterError: there is nothing to read energy from.
    """
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
    finally:
        await store.close()
