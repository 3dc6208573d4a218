"""What an attempt has seen so far: its readings, its stage and how far it has come."""

import time
from datetime import UTC, datetime

from app.domain.jobs import Job, Progress, Stage
from app.domain.readings import IdlePower, Phase, Quiet, Reading, Readings
from app.worker.bench import Bench
from app.worker.messages import Event, Failure, Forked, Seen, Step
from app.worker.recorder import Recorder
from app.workloads import catalogue

STAGES = {
    Phase.SETUP: Stage.SETUP,
    Phase.EPOCH: Stage.TRAINING,
    Phase.VALIDATION: Stage.TRAINING,
    Phase.EVALUATION: Stage.EVALUATING,
    Phase.END: Stage.EVALUATING,
}


class Journal:
    """Keeps the events of an attempt."""

    def __init__(
        self, bench: Bench, job: Job, recorder: Recorder, sample_interval_s: float
    ) -> None:
        """Nothing has been seen yet."""
        self._bench, self._job, self._recorder = bench, job, recorder
        self._sample_interval_s = sample_interval_s
        self._training_since_s: float | None = None
        self.readings: list[Reading] = []
        self.idle: IdlePower | None = None  # both as they were known when the run began
        self.quiet: Quiet | None = None
        self.stage = job.stage or Stage.STARTING
        self.progress: Progress | None = None
        self.failure: Failure | None = None

    def take(self, event: Event) -> bool:
        """Keep what an event says; true where users should see it at once."""
        before = self.stage
        match event:
            case Forked():
                self.stage = Stage.SETUP
            case Seen(reading=reading):
                self._read(reading)
            case Step(epoch=epoch, step=step, steps=steps):
                self._set_progress(epoch, step, steps)
            case Failure():
                self.failure = event
        return self.stage is not before

    def record(self) -> Readings:
        """Everything that was read."""
        return self._record(tuple(self.readings))

    def ends(self) -> Readings:
        """The first and the newest reading."""
        return self._record((self.readings[0], self.readings[-1]))

    def _record(self, readings: tuple[Reading, ...]) -> Readings:
        return Readings(
            attempt=self._job.attempt,
            started_at=self._recorder.started_at or datetime.now(UTC),
            sample_interval_s=self._sample_interval_s,
            host=self._bench.host_now,
            meter=self._bench.meter.facts,
            governor=self._recorder.governor,
            idle=self.idle,
            quiet=self.quiet,
            readings=readings,
        )

    def _read(self, reading: Reading) -> None:
        self.readings.append(reading)
        if reading.begins and reading.begins is not Phase.SETUP:
            self.stage = STAGES[reading.begins]
        if reading.begins is Phase.EPOCH:
            if self._training_since_s is None:
                self._training_since_s = time.monotonic()
            self._set_progress(reading.index or 0, 0, self._steps())
        if reading.begins is Phase.EVALUATION:
            self._set_progress(self._trained_epochs(), 0, self._steps(), over=True)

    def _trained_epochs(self) -> int:
        """All of them, unless a target was reached before."""
        begun = [r.index for r in self.readings if r.begins is Phase.EPOCH and r.index is not None]
        return max(begun, default=-1) + 1

    def _steps(self) -> int:
        if self.progress:
            return self.progress.steps
        samples = catalogue.known_facts(self._job.to_train).training_samples
        return -(-samples // self._job.to_train.batch_size)

    def _set_progress(self, epoch: int, step: int, steps: int, *, over: bool = False) -> None:
        epochs = self._job.to_train.epochs
        done, whole = epoch * steps + step, epochs * steps
        spent_s = time.monotonic() - (self._training_since_s or time.monotonic())
        known = 0 < done < whole and not over
        eta_s = round(spent_s / done * (whole - done), 1) if known else None
        self.progress = Progress(epoch=epoch, epochs=epochs, step=step, steps=steps, eta_s=eta_s)
