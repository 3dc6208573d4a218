"""The worker's life: meter and fork server once, then job after job until it is stopped."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime

import procrastinate
import psycopg
from procrastinate.exceptions import ConnectorException

from app.accounting import baseline
from app.accounting.processors import contradiction
from app.domain.errors import UnavailableError, UsageError
from app.domain.hosts import Host
from app.domain.readings import HostFacts
from app.metering.host import host_facts
from app.metering.meter import CodecarbonMeter, EnergyMeter
from app.settings import Settings
from app.storage.queue import TASK, PatientManager, make_queue
from app.storage.store import Store
from app.worker import process
from app.worker.attempt import run_job
from app.worker.bench import Bench
from app.worker.gate import check_gate
from app.worker.peak import Peak
from app.worker.sweep import sweep
from app.worker.watchdog import Watchdog

logger = logging.getLogger(__name__)

UNREACHABLE = 3  # the exit code


class Worker:
    """One measuring worker of one host."""

    def __init__(
        self, settings: Settings, store: Store, meter: EnergyMeter, facts: HostFacts
    ) -> None:
        """Announce nothing yet."""
        self._watchdog = Watchdog(settings.lease_s / 2, _end_now)
        self._bench = Bench(
            settings=settings, store=store, meter=meter, host=facts, watchdog=self._watchdog
        )
        self._peak = Peak(
            settings,
            self._bench.idle_monitor.load,
            self._bench.matmul_flops_per_s,
            busy=lambda: self._running is not None,
        )
        # under `serve` a drain could not last: everything is stopped within ten seconds
        self._drain = settings.drain and not settings.supervised
        self._stops = 0  # how often a signal has asked for the end
        self._running: asyncio.Task[None] | None = None
        self._started_at = datetime.now(UTC)
        self._ready = False
        self._job: str | None = None
        self._news = asyncio.Event()  # the job has ended
        self._beating = asyncio.Lock()  # an older sign of life may not overtake a newer one

    async def run(self, url: str) -> None:
        """Work until a signal stops it or something that it needs is gone."""
        await self._watchdog.ask(self._beat)
        self._bench.idle_monitor.load.look()  # the first job may come with the end of the warm-up
        await asyncio.to_thread(process.warm_up)
        await self._peak.measure()
        await self._sweep()
        queue = make_queue(url)
        queue.task(name=TASK, pass_context=False)(self._train)
        async with queue.open_async():
            self._ready = True  # from here on a database that goes away for a while is outlived
            await self._watchdog.ask(self._beat)
            await self._serve(queue)
        self._ready = False
        self._watchdog.stop()
        await self._watchdog.ask(self._beat)

    async def _serve(self, queue: procrastinate.App) -> None:
        """Take job after job until a signal; give signs of life, sweep, watch the host beside."""
        async with asyncio.TaskGroup() as aside:
            beats = aside.create_task(self._beat_on())
            sweeps = aside.create_task(_every(self._bench.settings.sweep_interval_s, self._sweep))
            idle_monitor = aside.create_task(self._bench.idle_monitor.keep())
            peak = aside.create_task(self._peak.settle())
            work = aside.create_task(self._work(queue))
            with self._stopped_by_signals(work, queue.job_manager):
                await asyncio.wait([work])
            beats.cancel()
            sweeps.cancel()
            idle_monitor.cancel()
            peak.cancel()

    async def _work(self, queue: procrastinate.App) -> None:
        settings = self._bench.settings
        await queue.run_worker_async(
            name=settings.host_name,
            queues=["any", f"host:{settings.host_name}", *settings.labels],
            concurrency=1,
            install_signal_handlers=False,
            # no `shutdown_graceful_timeout`: whether a job in hand is finished, we say ourselves
            update_heartbeat_interval=settings.heartbeat_s,
            stalled_worker_timeout=settings.lease_s,
            delete_jobs="always",  # our own table is the truth that users see
        )

    async def _sweep(self) -> None:
        await self._watchdog.retry(lambda: sweep(self._bench))

    async def _train(self, job_id: str) -> None:
        if self._stops:  # fetched in the moment of the signal: the sweep makes it a new task
            return
        self._running = asyncio.current_task()
        try:
            await run_job(self._bench, job_id, self._announce)
        finally:
            self._running = self._job = None
            self._news.set()

    @contextlib.contextmanager
    def _stopped_by_signals(
        self, work: asyncio.Task[None], manager: procrastinate.manager.JobManager
    ) -> Iterator[None]:
        """SIGTERM and SIGINT end the work: take no further job, put back or finish this one."""

        def stop() -> None:
            self._stops += 1
            if isinstance(manager, PatientManager):
                manager.stopping = True
            if self._stops == 1:
                work.cancel()
            if self._running and self._drain and self._stops == 1:
                logger.info("the job in hand is finished first; a second signal puts it back")
                return
            self._watchdog.stop()
            if self._running:
                self._running.cancel()

        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, stop)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    async def _announce(self, job_id: str) -> None:
        """Have it stored which job this host takes."""
        self._job = job_id
        await self._watchdog.ask(self._beat)

    async def _beat_on(self) -> None:
        """A sign of life every `heartbeat_s` seconds, and at once where a job has ended."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), self._bench.settings.heartbeat_s)
            self._news.clear()
            await self._watchdog.ask(self._beat)

    async def _beat(self) -> None:
        async with self._beating:
            await self._beat_once()

    async def _beat_once(self) -> None:
        now, host, meter = datetime.now(UTC), self._bench.host_now, self._bench.meter.facts
        await self._bench.store.beat(
            Host(
                name=host.name,
                facts=host,
                meter=meter,
                labels=self._bench.settings.labels,
                ready=self._ready,
                baseline=baseline.of_host(host, meter, self._bench.idle_monitor.idle),
                started_at=self._started_at,
                last_seen=now,
                current_job=self._job,
            )
        )


def _end_now(error: UnavailableError) -> None:
    """End this process for certain: everything else here would ask the database, and wait for it.

    Whatever is left then, the training process first, has a death signal.
    """
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
        UsageError: the host's lock file cannot be opened, or a setting contradicts the host.
        UnavailableError: the database or the fork server does not answer.
        MeterError: there is nothing to read energy from.
    """
    check_gate(settings.host_lock)
    process.start_fork_server()  # imports for seconds, meanwhile the meter finds its hardware
    meter = CodecarbonMeter()
    try:
        facts = host_facts(settings.host_name, known=settings.known_facts())
        if told := contradiction(facts, meter.facts):
            raise UsageError(told)
        asyncio.run(_run(settings, url, meter, facts))
    finally:
        meter.close()


async def _run(settings: Settings, url: str, meter: EnergyMeter, facts: HostFacts) -> None:
    store = await Store.open(url)
    try:
        await Worker(settings, store, meter, facts).run(url)
    except (ExceptionGroup, ConnectorException) as failed:
        raise _reason(failed) from failed
    finally:
        await store.close()


def _reason(failed: Exception) -> Exception:
    """The one error to tell of those that ended the worker's tasks together."""
    while isinstance(failed, ExceptionGroup):
        failed = failed.exceptions[0]
    if isinstance(failed, ConnectorException):
        if isinstance(failed.__cause__, psycopg.errors.ForeignKeyViolation):
            return UnavailableError(
                "this worker was silent for so long that another one struck it off: start it again"
            )
        reason = " ".join(str(failed.__cause__ or failed).split())
        return UnavailableError(f"the database of the queue does not answer ({reason})")
    return failed
