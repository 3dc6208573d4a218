"""One attempt of one job: claim, train under the meter, store what comes, account, finish."""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from app.accounting.report import energy_j
from app.domain.errors import MeterError, TrainingError, TrainwattError, UnavailableError
from app.domain.jobs import Job, JobError, JobStatus, Stage
from app.domain.readings import Reading
from app.domain.reports import AttemptEnergy
from app.logs import about
from app.metering.counters import CpuCounters, service_processes
from app.storage.attempts import Standing
from app.storage.locks import Hold
from app.worker import datasets
from app.worker.bench import Bench
from app.worker.budget import TICK_S, Budget, budget
from app.worker.experiments import settle
from app.worker.gate import host_gate
from app.worker.journal import Journal
from app.worker.messages import Ended, Forked, Interrupted, Mark, Seen
from app.worker.outcome import Cut, oom_kill_count, outcome
from app.worker.process import Training, fork_server_pid, kill_fork_server, start_fork_server
from app.worker.recorder import Recorder
from app.worker.sampling import Sampling
from app.worker.watchdog import Answer

logger = logging.getLogger(__name__)

WRITE_PERIOD_S = 0.9  # a little less than between ticks, so that none waits for the next
LOOK_S = 0.25  # between looks at a host that is not quiet
CUT_S = 5.0  # a killed process is gone in milliseconds, unless it could not be made


class FencedError(TrainwattError):
    """Another attempt of the job has begun: nothing more may be written by this one."""


async def _to_nobody(_: str) -> None:
    """Nobody else looks for jobs without a host."""


async def run_job(
    bench: Bench, job_id: str, announce: Callable[[str], Awaitable[None]] = _to_nobody
) -> None:
    """Run a job that the queue has handed out, if it still waits.

    Args:
        bench: what to measure with.
        job_id: the job.
        announce: says everywhere that this host takes the job, before it does: should our lock go
            with the database in the next moment, nobody else may find the job without a host.

    Raises:
        asyncio.CancelledError: the queue took the job back (cancelled, or the worker stops); the
            job is finished or put back first.
        FencedError: the job is another worker's by now.
        UnavailableError: the database was away for too long.
    """
    store, again = bench.store, bench.watchdog.retry
    host = f"host:{bench.host.boot_id or bench.host.name}"
    async with (
        store.hold(host, job_id, again=again) as hold,
        host_gate(bench.settings.host_lock),
        bench.idle_monitor.held(),
    ):
        may_begin = await bench.idle_monitor.ready() or bench.settings.quiet_wait_s == 0
        stage = Stage.STARTING if may_begin else Stage.WAITING_FOR_QUIET
        earlier = await again(lambda: store.attempts(job_id))
        number = earlier[-1].attempt + 1 if earlier else 1
        tries = itertools.count()

        async def claim() -> Job | None:
            unsure = number if next(tries) else None  # the answer to the try before may be lost
            return await store.claim(job_id, bench.host.name, stage, attempt=unsure)

        await announce(job_id)
        job, cancelled = await _whole(again(claim))
        if job is None:
            logger.info("job %s does not wait any more", job_id)
            if cancelled:
                raise cancelled
            return
        if job.attempt != number:  # an attempt that we did not know of has ended meanwhile
            earlier = await again(lambda: store.attempts(job_id))
        with about(job_id=job_id):
            await Attempt(bench, job, hold, earlier).run(cancelled)


async def _whole(do: Awaitable[Answer]) -> tuple[Answer, asyncio.CancelledError | None]:
    """Do it to its end, and the cancellation that came meanwhile: what was claimed is ours."""
    work, cancelled = asyncio.ensure_future(do), None
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError as error:
            cancelled = error
    return work.result(), cancelled


class Attempt:
    """The state of one run, and what of it is not written yet."""

    def __init__(
        self, bench: Bench, job: Job, hold: Hold, earlier: tuple[AttemptEnergy, ...]
    ) -> None:
        """Prepare the process and the counters; nothing runs yet."""
        start_fork_server()  # it may have died since
        counters = CpuCounters(
            fork_server_pid(), service_processes(supervised=bench.settings.supervised)
        )
        self._counters, self._recorder = counters, Recorder(bench.meter, counters)
        self._bench, self._job, self._hold, self._earlier = bench, job, hold, earlier
        self._budget: Budget = budget(bench, job, earlier)
        tick_s = bench.settings.sample_interval_s
        tick_s = min(tick_s, TICK_S) if self._budget.limited else tick_s
        self._training = Training(job.to_train, bench.cache_dir, self._read, tick_s)
        self._journal = Journal(bench, job, self._recorder, tick_s)
        self._sampling = Sampling(job.id, tick_s)
        self._written = 0
        self._stage: Stage | None = job.stage  # as it is stored
        self._stirred = asyncio.Event()  # a write was kept, or the end was asked for
        self._unsure = False  # whether a write may have been kept without our knowledge
        self._renewed_s = time.monotonic()
        self._failures = bench.watchdog.failures
        self._news = asyncio.Event()
        self._told_s = 0.0  # of the monotonic clock
        self._asked = asyncio.Event()  # to end
        self._over = False
        self._lacking: JobError | None = None  # why it could not begin
        self._hangs = False  # the meter's thread, for good

    async def run(self, cancelled: asyncio.CancelledError | None = None) -> None:
        """Train, store, finish; a cut run is accounted up to its end.

        A cancellation kills the process at once and cuts nothing else: what has begun to be
        stored is stored, and the cancellation is raised after it.

        Args:
            cancelled: it came already, while the job was claimed.
        """
        if cancelled:
            self._interrupt()
        work = asyncio.ensure_future(self._run())
        with self._bench.watchdog.guard(self._training.kill):
            while not work.done():
                try:
                    await asyncio.shield(work)
                except asyncio.CancelledError as error:
                    cancelled = error
                    self._interrupt()
        if self._hangs:
            hangs = UnavailableError("the energy meter hangs: a new worker has to measure")
            self._bench.watchdog.lose(hangs)
        work.result()
        if cancelled:
            raise cancelled

    async def _run(self) -> None:
        kills_before = oom_kill_count()
        async with self._writing():
            began = await self._begin()
            if began:
                cut, ended = await self._train()
        if not began:
            await self._leave()
            return
        if ended.error is not None:
            logger.error("job %s: the run broke off", self._job.id, exc_info=ended.error)
        interrupted = cut is not None and cut.status is JobStatus.CANCELLED
        if interrupted and ended.exit_code != 0 and not await self._cancel_requested():
            cut = self._excess()
            if cut is None:
                await self._put_back()
                return
        status, error = outcome(
            ended=ended,
            failure=self._journal.failure,
            cut=cut,
            oom_kills=oom_kill_count() - kills_before,
        )
        await self._finish(status, error)

    def _read(self, job: int | None, mark: Mark | None) -> Reading:
        """Read everything, in the meter's thread."""
        reading = self._recorder(job, mark)
        self._bench.idle_monitor.load.note(self._counters, reading)
        self._sampling.read()
        return reading

    def _interrupt(self) -> None:
        """End the attempt, wherever it stands."""
        self._asked.set()
        self._stirred.set()
        self._training.interrupt()

    async def _begin(self) -> bool:
        """Wait until the host is quiet, for a bounded time, and start; false if it must not."""
        self._lacking = await self._fetch()
        if self._lacking is not None or self._asked.is_set():
            return False
        monitor, journal, since_s = self._bench.idle_monitor, self._journal, time.monotonic()
        if self._job.to_train.dataset.uploaded and self._bench.settings.quiet_wait_s:
            journal.stage = Stage.WAITING_FOR_QUIET  # what was seen before the fetch is old
        until_s, waited_s = since_s + self._bench.settings.quiet_wait_s, 0.0
        while journal.stage is Stage.WAITING_FOR_QUIET:
            if await monitor.ready() or (left_s := until_s - time.monotonic()) <= 0:
                journal.stage, self._told_s = Stage.STARTING, 0.0
            elif await self._is_asked_to_end(min(LOOK_S, left_s)):
                return False
            waited_s = time.monotonic() - since_s
            self._tell()
        if not await self._is_stored(Stage.STARTING):
            return False
        journal.quiet, journal.idle = await monitor.begin(waited_s), monitor.idle
        if self._asked.is_set():
            return False
        self._training.start()
        return True

    async def _is_stored(self, stage: Stage) -> bool:
        """Wait until the stage is stored; false if asked to end.

        Of an attempt that is lost while it waits for quiet nothing is spent, so that none may train
        in that stage: the database may go away in this moment, and this worker with it.
        """
        while self._stage is not stage and not self._asked.is_set():
            self._stirred.clear()
            self._news.set()
            await self._stirred.wait()
        return not self._asked.is_set()

    def _tell(self) -> None:
        """Have the stage written, and a user's wish seen, about once a second."""
        if time.monotonic() - self._told_s >= WRITE_PERIOD_S:
            self._told_s = time.monotonic()
            self._news.set()

    async def _is_asked_to_end(self, within_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), within_s)
        return self._asked.is_set()

    async def _fetch(self) -> JobError | None:
        """Bring a user's data set here before anything is measured; why that cannot be done."""
        bench, spec = self._bench, self._job.to_train
        max_bytes = bench.settings.dataset_cache_mib * 2**20
        stop = self._asked.is_set
        try:
            await bench.watchdog.retry(
                lambda: datasets.fetch(
                    bench.store, spec, bench.cache_dir, max_bytes=max_bytes, stop=stop
                )
            )
        except TrainingError as error:
            return JobError(code=error.code, message=str(error))
        return None

    async def _leave(self) -> None:
        """End an attempt that has not begun: for want of data, at its user's wish, or put back."""
        self._journal.stage = Stage.WAITING_FOR_QUIET
        if self._lacking is not None:
            await self._finish(JobStatus.FAILED, self._lacking)
        elif await self._cancel_requested():
            await self._finish(JobStatus.CANCELLED, None)
        else:
            await self._put_back()

    async def _cancel_requested(self) -> bool:
        store, job_id = self._bench.store, self._job.id
        return await self._bench.watchdog.retry(lambda: store.cancel_requested(job_id))

    async def _train(self) -> tuple[Cut | None, Ended]:
        """Follow the process to its end, and say what it was cut for, if it was."""
        timeout_s = self._job.to_train.limits.timeout_s
        limit = asyncio.timeout(timeout_s)
        try:
            with self._sampling.watched(self._training.interrupt):
                async with limit:
                    last = await self._follow()
        except TimeoutError:
            ended = await self._cut()
            if not limit.expired():
                raise
            message = f"stopped after limits.timeout_s = {timeout_s:g} s"
            error = JobError(code="timeout", message=message)
            return Cut(status=JobStatus.TIMED_OUT, error=error), ended
        except BaseException:
            await self._cut()
            raise
        return (None, last) if isinstance(last, Ended) else (last, await self._cut())

    async def _follow(self) -> Ended | Cut:
        """Take every event until the process has ended, or must."""
        while not isinstance(event := await self._training.next(), Ended):
            if isinstance(event, Interrupted):
                return self._sampling.hangs or Cut(status=JobStatus.CANCELLED)
            if isinstance(event, Forked):
                self._sampling.begin()
            if self._journal.take(event):
                self._told_s = 0.0
            self._tell()
            if isinstance(event, Seen) and (excess := self._excess()):
                return excess
        return event

    def _excess(self) -> Cut | None:
        if not self._budget.limited or not self._journal.readings:
            return None
        return self._budget.overrun(self._journal.ends())

    async def _cut(self) -> Ended:
        """Kill the process and take what is left; the end of this does not hang on anybody."""
        self._training.kill()
        try:
            async with asyncio.timeout(CUT_S):
                return await self._drain()
        except TimeoutError:
            logger.exception("job %s: the fork server hangs and is killed", self._job.id)
            kill_fork_server()
        try:
            async with asyncio.timeout(CUT_S):
                return await self._drain()
        except TimeoutError:
            logger.exception("job %s: the energy meter hangs", self._job.id)
            self._hangs = True
            error = MeterError(f"the meter gave no last reading within {2 * CUT_S:g} s")
            return Ended(exit_code=None, error=error)

    async def _drain(self) -> Ended:
        while not isinstance(event := await self._training.next(), Ended):
            self._journal.take(event)
        return event

    @contextlib.asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """Store what comes beside the block, which goes on while the database is away.

        Raises:
            FencedError: another attempt has begun.
            UnavailableError: the database was away for too long.
        """
        writer = asyncio.ensure_future(self._write_on())
        writer.add_done_callback(self._end_with)
        try:
            yield
        finally:
            self._over = True
            self._news.set()
            await writer

    def _end_with(self, writer: "asyncio.Future[None]") -> None:
        """A run of which nothing can be stored any more is ended."""
        if writer.cancelled() or writer.exception():
            self._interrupt()

    async def _write_on(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), self._bench.settings.heartbeat_s)
            self._news.clear()
            if self._over:
                return
            await self._keep_lock()
            if await self._write() is Standing.CANCELLED:
                self._interrupt()

    async def _keep_lock(self) -> None:
        """Take the locks again where a connection may have been lost.

        Raises:
            FencedError: another worker has the job's.
        """
        watchdog, now_s = self._bench.watchdog, time.monotonic()
        due = now_s - self._renewed_s >= self._bench.settings.heartbeat_s
        if not due and watchdog.failures == self._failures:
            return
        self._renewed_s, self._failures = now_s, watchdog.failures
        lost = await watchdog.retry(self._hold.renew)
        if self._job.id in lost:
            raise FencedError(f"job {self._job.id}: another worker has its lock")
        if lost:  # what both measure would be the sum: the other one goes on, this one waits
            logger.warning("job %s: another worker measures on this host too", self._job.id)
            self._interrupt()

    async def _write(self) -> Standing:
        """Store what is new; the first write opens the attempt.

        Raises:
            FencedError: another attempt has begun.
        """
        standing = await self._bench.watchdog.ask(self._write_once)
        if standing is Standing.FENCED:
            job = self._job
            raise FencedError(f"job {job.id}: attempt {job.attempt} is not the newest any more")
        return standing

    async def _write_once(self) -> Standing:
        store, job, journal = self._bench.store, self._job, self._journal
        new, count = journal.readings[self._written :], len(journal.readings)
        unsure, self._unsure, stage = self._unsure, True, journal.stage
        if self._written == 0 and new:
            record = journal.record()
            standing = await store.begin_attempt(job.id, job.attempt, record, stage=stage)
        else:
            standing = await store.append(
                job.id,
                job.attempt,
                new,
                stage=stage,
                progress=journal.progress,
                known=self._written if unsure else None,
            )
        self._written, self._unsure, self._stage = count, False, stage
        self._stirred.set()
        return standing

    async def _finish(self, status: JobStatus, error: JobError | None) -> None:
        store, journal = self._bench.store, self._journal
        job = self._job.model_copy(update={"stage": journal.stage})
        record = None if journal.stage is Stage.WAITING_FOR_QUIET else journal.record()
        status, error, result = await asyncio.to_thread(
            self._bench.conclude, job, record, status, error, self._earlier
        )
        kept = await self._bench.watchdog.retry(
            lambda: store.finish(
                job.id, job.attempt, status=status, error=error, report=result, readings=record
            )
        )
        logger.info(
            "job %s attempt %d: %s%s",
            job.id,
            job.attempt,
            status,
            "" if kept else ", not kept: it had ended before",
        )
        if experiment_id := job.to_train.experiment_id:
            bench = self._bench
            await bench.watchdog.retry(lambda: settle(bench, experiment_id))

    async def _put_back(self) -> None:
        """The worker stops or lost its host: the job goes back to the queue, with what it used."""
        await self._write()
        store, job, journal = self._bench.store, self._job, self._journal
        unread_j = 0.0 if journal.stage is Stage.WAITING_FOR_QUIET else None
        used_j = energy_j(journal.record()) if journal.readings else unread_j
        await self._bench.watchdog.retry(
            lambda: store.put_back(
                job.id, job.attempt, ended="stopped", energy_j=used_j, finish_queue_row=False
            )
        )
