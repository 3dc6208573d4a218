"""One attempt of one job: claim, train under the meter, store what comes, account, finish."""

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app import reference
from app.accounting.report import empty_report, energy_j, report
from app.domain.errors import TrainwattError
from app.domain.jobs import Job, JobError, JobStatus, Progress, Stage
from app.domain.readings import HostFacts, Phase, Reading, Readings
from app.domain.reports import AttemptEnergy, EnergyReport
from app.metering.counters import CpuCounters, service_processes
from app.metering.meter import EnergyMeter
from app.settings import Settings
from app.storage.store import Store
from app.worker.gate import host_gate
from app.worker.messages import Ended, Event, Failure, Forked, Seen, Step
from app.worker.outcome import oom_kill_count, outcome
from app.worker.process import Training, fork_server_pid, start_fork_server
from app.worker.recorder import Recorder
from app.workloads import catalogue

logger = logging.getLogger(__name__)

WRITE_PERIOD_S = 0.5
STAGES = {
    Phase.SETUP: Stage.SETUP,
    Phase.EPOCH: Stage.TRAINING,
    Phase.VALIDATION: Stage.TRAINING,
    Phase.EVALUATION: Stage.EVALUATING,
    Phase.END: Stage.EVALUATING,
}


class FencedError(TrainwattError):
    """Another attempt of the job has begun: nothing more may be written by this one."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a worker measures with; made once, used for every job."""

    settings: Settings
    store: Store
    meter: EnergyMeter
    host: HostFacts

    @property
    def cache_dir(self) -> Path:
        """Where data sets are kept between jobs."""
        return self.settings.data_dir / "cache"

    def account(
        self,
        job: Job,
        readings: Readings | None,
        status: JobStatus,
        earlier: tuple[AttemptEnergy, ...],
    ) -> EnergyReport:
        """The report of a job's newest attempt."""
        priced = reference.intensity(
            job.spec.carbon,
            default_country=self.settings.country_iso_code,
            default_region=self.settings.region,
        )
        work = catalogue.facts(job.spec)
        if readings is None or not readings.readings:
            return empty_report(
                job_id=job.id,
                spec=job.spec,
                status=status,
                work=work,
                intensity=priced,
                finished_at=datetime.now(UTC),
                earlier=earlier,
            )
        return report(
            readings,
            job_id=job.id,
            spec=job.spec,
            status=status,
            work=work,
            intensity=priced,
            earlier=earlier,
        )


async def run_job(bench: Bench, job_id: str) -> None:
    """Run a job that the queue has handed out, if it still waits.

    Raises:
        asyncio.CancelledError: the queue took the job back (cancelled, or the worker stops); the
            job is finished or put back first.
    """
    async with (
        host_gate(bench.settings.host_lock),
        bench.store.hold(f"host:{bench.host.boot_id or bench.host.name}"),
        bench.store.hold(job_id),
    ):
        job = await bench.store.claim(job_id, bench.host.name)
        if job is None:
            logger.info("job %s does not wait any more", job_id)
            return
        await Attempt(bench, job).run()


class Attempt:
    """The state of one run: its readings so far, and what is not written yet."""

    def __init__(self, bench: Bench, job: Job) -> None:
        """Prepare the process and the counters; nothing runs yet."""
        start_fork_server()  # it may have died since
        counters = CpuCounters(fork_server_pid(), service_processes())
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
        """Train, store, finish; a cut run is accounted up to its end."""
        kills_before = oom_kill_count()
        cut: JobStatus | None = None
        stopped: asyncio.CancelledError | None = None
        self._training.start()
        try:
            async with asyncio.timeout(self._job.spec.limits.timeout_s):
                ended = await self._follow()
        except TimeoutError:
            cut, ended = JobStatus.TIMED_OUT, await self._cut()
        except asyncio.CancelledError as cancelled:
            cut, ended, stopped = JobStatus.CANCELLED, await self._cut(), cancelled
        except BaseException:
            await self._cut()
            raise
        done = ended.exit_code == 0
        if stopped and not done and not await self._bench.store.cancel_requested(self._job.id):
            await self._put_back()
            raise stopped
        status, error = outcome(
            ended=ended,
            failure=self._failure,
            cut=cut,
            oom_kills=oom_kill_count() - kills_before,
            spec=self._job.spec,
        )
        await self._finish(status, error)
        if stopped:
            raise stopped

    async def _follow(self) -> Ended:
        """Take every event, and write as they come."""
        while not isinstance(event := await self._training.next(), Ended):
            if self._take(event) or time.monotonic() - self._written_s >= WRITE_PERIOD_S:
                await self._write()
        return event

    async def _cut(self) -> Ended:
        """Kill the process and take what is left, without writing."""
        self._training.kill()
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
        eta_s = round(spent_s / done * (whole - done), 1) if done else None
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
            host=self._bench.host,
            meter=self._bench.meter.facts,
            readings=tuple(self._readings),
        )

    async def _finish(self, status: JobStatus, error: JobError | None) -> None:
        store, job = self._bench.store, self._job
        record = self._record()
        earlier = await store.attempts(job.id)
        result = await asyncio.to_thread(self._bench.account, job, record, status, earlier)
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
