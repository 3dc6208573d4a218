"""One attempt of one job: claim, train under the meter, store what comes, account, finish."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from app.accounting.report import energy_j
from app.domain.errors import TrainwattError
from app.domain.jobs import Job, JobError, JobStatus, Progress, Stage
from app.domain.readings import Phase, Reading, Readings
from app.metering.counters import CpuCounters, service_processes
from app.worker.bench import Bench
from app.worker.gate import host_gate
from app.worker.messages import Ended, Event, Failure, Forked, Interrupted, Seen, Step
from app.worker.outcome import oom_kill_count, outcome
from app.worker.process import Training, fork_server_pid, kill_fork_server, start_fork_server
from app.worker.recorder import Recorder
from app.workloads import catalogue

logger = logging.getLogger(__name__)

WRITE_PERIOD_S = 1.0
CUT_S = 5.0  # a killed process is gone in milliseconds, unless it could not be made
STAGES = {
    Phase.SETUP: Stage.SETUP,
    Phase.EPOCH: Stage.TRAINING,
    Phase.VALIDATION: Stage.TRAINING,
    Phase.EVALUATION: Stage.EVALUATING,
    Phase.END: Stage.EVALUATING,
}


class FencedError(TrainwattError):
    """Another attempt of the job has begun: nothing more may be written by this one."""


async def run_job(
    bench: Bench, job_id: str, claimed: Callable[[str], None] = lambda _: None
) -> None:
    """Run a job that the queue has handed out, if it still waits.

    Args:
        bench: what to measure with.
        job_id: the job.
        claimed: told of the job once it is ours.

    Raises:
        asyncio.CancelledError: the queue took the job back (cancelled, or the worker stops); the
            job is finished or put back first.
    """
    host = f"host:{bench.host.boot_id or bench.host.name}"
    async with bench.store.hold(host, job_id), host_gate(bench.settings.host_lock):
        job = await bench.store.claim(job_id, bench.host.name)
        if job is None:
            logger.info("job %s does not wait any more", job_id)
            return
        claimed(job_id)
        await Attempt(bench, job).run()


class Attempt:
    """The state of one run: its readings so far, and what is not written yet."""

    def __init__(self, bench: Bench, job: Job) -> None:
        """Prepare the process and the counters; nothing runs yet."""
        start_fork_server()  # it may have died since
        counters = CpuCounters(
            fork_server_pid(), service_processes(supervised=bench.settings.supervised)
        )
        self._bench, self._job = bench, job
        self._recorder = Recorder(bench.meter, counters)
        self._training = Training(
            job.spec, bench.cache_dir, self._recorder, bench.settings.sample_interval_s
        )
        self._readings: list[Reading] = []
        self._written = 0
        self._written_s = 0.0
        self._stage = Stage.STARTING
        self._progress: Progress | None = None
        self._training_since_s: float | None = None
        self._failure: Failure | None = None

    async def run(self) -> None:
        """Train, store, finish; a cut run is accounted up to its end.

        A cancellation kills the process at once and cuts nothing else: what has begun to be
        stored is stored, and the cancellation is raised after it.
        """
        work = asyncio.ensure_future(self._run())
        cancelled: asyncio.CancelledError | None = None
        while not work.done():
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError as error:
                cancelled = error
                self._training.interrupt()
        work.result()
        if cancelled:
            raise cancelled

    async def _run(self) -> None:
        kills_before = oom_kill_count()
        self._training.start()
        cut, ended = await self._train()
        if ended.error is not None:
            logger.error("job %s: the run broke off", self._job.id, exc_info=ended.error)
        interrupted = cut is JobStatus.CANCELLED and ended.exit_code != 0
        if interrupted and not await self._bench.store.cancel_requested(self._job.id):
            await self._put_back()
            return
        status, error = outcome(
            ended=ended,
            failure=self._failure,
            cut=cut,
            oom_kills=oom_kill_count() - kills_before,
            spec=self._job.spec,
        )
        await self._finish(status, error)

    async def _train(self) -> tuple[JobStatus | None, Ended]:
        """Follow the process to its end, and say what it was cut for, if it was."""
        limit = asyncio.timeout(self._job.spec.limits.timeout_s)
        try:
            async with limit:
                last = await self._follow()
        except TimeoutError:
            ended = await self._cut()
            if not limit.expired():
                raise
            return JobStatus.TIMED_OUT, ended
        except BaseException:
            await self._cut()
            raise
        if isinstance(last, Interrupted):
            return JobStatus.CANCELLED, await self._cut()
        return None, last

    async def _follow(self) -> Ended | Interrupted:
        """Take every event, and write as they come."""
        while not isinstance(event := await self._training.next(), Ended | Interrupted):
            if self._take(event) or time.monotonic() - self._written_s >= WRITE_PERIOD_S:
                await self._write()
        return event

    async def _cut(self) -> Ended:
        """Kill the process and take what is left, without writing."""
        self._training.kill()
        try:
            async with asyncio.timeout(CUT_S):
                return await self._drain()
        except TimeoutError:
            logger.exception("job %s: the fork server hangs and is killed", self._job.id)
            kill_fork_server()
            return await self._drain()

    async def _drain(self) -> Ended:
        while not isinstance(event := await self._training.next(), Ended):
            self._take(event)
        return event

    def _take(self, event: Event) -> bool:
        """Keep what an event says; true where users should see it at once."""
        before = self._stage
        match event:
            case Forked():
                self._stage = Stage.SETUP
            case Seen(reading=reading):
                self._readings.append(reading)
                if reading.begins and reading.begins is not Phase.SETUP:
                    self._stage = STAGES[reading.begins]
                if reading.begins is Phase.EPOCH:
                    self._begin_epoch(reading)
                if reading.begins is Phase.EVALUATION:
                    self._set_progress(self._job.spec.epochs, 0, self._steps())
            case Step(epoch=epoch, step=step, steps=steps):
                self._set_progress(epoch, step, steps)
            case Failure():
                self._failure = event
        return self._stage is not before

    def _begin_epoch(self, reading: Reading) -> None:
        if self._training_since_s is None:
            self._training_since_s = time.monotonic()
        steps = self._progress.steps if self._progress else self._steps()
        self._set_progress(reading.index or 0, 0, steps)

    def _steps(self) -> int:
        samples = catalogue.facts(self._job.spec).training_samples
        return -(-samples // self._job.spec.batch_size)

    def _set_progress(self, epoch: int, step: int, steps: int) -> None:
        epochs = self._job.spec.epochs
        done, whole = epoch * steps + step, epochs * steps
        spent_s = time.monotonic() - (self._training_since_s or time.monotonic())
        eta_s = round(spent_s / done * (whole - done), 1) if 0 < done < whole else None
        self._progress = Progress(epoch=epoch, epochs=epochs, step=step, steps=steps, eta_s=eta_s)

    async def _write(self) -> None:
        """Store what is new; the first write opens the attempt.

        Raises:
            FencedError: another attempt has begun.
        """
        new, count = self._readings[self._written :], len(self._readings)
        store, job = self._bench.store, self._job
        if self._written == 0 and new:
            kept = await store.begin_attempt(job.id, job.attempt, self._record())
        else:
            kept = await store.append(
                job.id, job.attempt, new, stage=self._stage, progress=self._progress
            )
        if not kept:
            raise FencedError(f"job {job.id}: attempt {job.attempt} is not the newest any more")
        self._written, self._written_s = count, time.monotonic()

    def _record(self) -> Readings:
        return Readings(
            attempt=self._job.attempt,
            started_at=self._recorder.started_at or datetime.now(UTC),
            sample_interval_s=self._bench.settings.sample_interval_s,
            host=self._bench.host,
            meter=self._bench.meter.facts,
            readings=tuple(self._readings),
        )

    async def _finish(self, status: JobStatus, error: JobError | None) -> None:
        store, job = self._bench.store, self._job
        record = self._record()
        earlier = await store.attempts(job.id)
        status, error, result = await asyncio.to_thread(
            self._bench.conclude, job, record, status, error, earlier
        )
        kept = await store.finish(
            job.id, job.attempt, status=status, error=error, report=result, readings=record
        )
        logger.info(
            "job %s attempt %d: %s%s", job.id, job.attempt, status, "" if kept else ", fenced"
        )

    async def _put_back(self) -> None:
        """The worker stops: the job goes back to the queue, with what it used."""
        await self._write()
        used_j = energy_j(self._record())
        await self._bench.store.put_back(
            self._job.id,
            self._job.attempt,
            ended="stopped",
            energy_j=used_j,
            finish_queue_row=False,
        )
