"""A job followed to its end: a progress bar on a terminal, one line on each change elsewhere."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from app.cli.report import duration
from app.client import Client
from app.domain.errors import UnavailableError
from app.domain.jobs import Job, JobStatus, Stage

POLL_S = 0.5
PATIENCE_S = 15.0  # how long a service that starts again may be away

DOING = {
    None: "starting",
    Stage.WAITING_FOR_QUIET: "waiting until the host is quiet",
    Stage.STARTING: "starting the training process",
    Stage.SETUP: "loading data, building the model",
    Stage.TRAINING: "training",
    Stage.EVALUATING: "evaluating on the test set",
}

OnChange = Callable[[Job, str], None]
Seen = tuple[Job, str]  # a job, and why no worker takes it


def follow(client: Client, job_id: str, console: Console, *, patience_s: float = math.inf) -> Job:
    """Show a job's progress until it is final, or patience ends; the job as it is then.

    Raises:
        NotFoundError: there is no such job.
        UnavailableError: the service was away for longer than a restart takes.
    """
    deadline = time.monotonic() + patience_s
    shown = _bar if console.is_terminal else _lines
    with shown(console) as show:
        while True:
            job, why = _patiently(lambda: _look(client, job_id))
            show(job, why)
            if job.status.final or time.monotonic() > deadline:
                return job
            time.sleep(POLL_S)


def _look(client: Client, job_id: str) -> Seen:
    job = client.get(job_id)
    return job, stuck(client, job)


def stuck(client: Client, job: Job) -> str:
    """Why no worker takes a job that waits, in words; nothing where one may."""
    if job.status is not JobStatus.QUEUED or not job.spec.placement.labels:
        return ""
    (label,) = job.spec.placement.labels
    if any(label in (*host.labels, f"host:{host.name}") for host in client.hosts()):
        return ""
    return f"no known worker takes the label {label}"


def _patiently(look: Callable[[], Seen]) -> Seen:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return look()
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
        time.sleep(POLL_S)


@contextmanager
def _bar(console: Console) -> Iterator[OnChange]:
    columns = (
        SpinnerColumn(),
        BarColumn(24),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=None)

        def show(job: Job, stuck: str) -> None:
            done = _share(job)
            total = None if done is None else 1.0
            left = f", {_left(job)}" if _left(job) else ""
            said = says(job, stuck=stuck) + left
            progress.update(task, total=total, completed=done or 0, description=said)

        yield show


@contextmanager
def _lines(console: Console) -> Iterator[OnChange]:
    last = ""

    def show(job: Job, stuck: str) -> None:
        nonlocal last
        line = says(job, stuck=stuck)
        if line != last:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        last = line

    yield show


def says(job: Job, *, stuck: str = "") -> str:
    """Where a job stands, in words that change only with its stage or epoch."""
    if job.status is JobStatus.QUEUED:
        ahead = f", position {job.queue_position}" if job.queue_position else ""
        return f"queued{ahead}{stuck and f': {stuck}'}"
    if job.status is JobStatus.RUNNING:
        return _doing(job)
    why = f": {job.error.message}" if job.error else ""
    return f"{job.status.value.replace('_', ' ')}{_took(job)}{why}"


def _doing(job: Job) -> str:
    attempt = f" (attempt {job.attempt})" if job.attempt > 1 else ""
    if job.stage is Stage.TRAINING and job.progress:
        epoch = min(job.progress.epoch + 1, job.progress.epochs)
        return f"training, epoch {epoch} of {job.progress.epochs}{attempt}"
    return f"{DOING[job.stage]}{attempt}"


def _took(job: Job) -> str:
    if job.started_at is None or job.finished_at is None:
        return ""
    return f" after {duration((job.finished_at - job.started_at).total_seconds())}"


def _share(job: Job) -> float | None:
    """How much of the steps is done, from 0 to 1; null where that is not known."""
    if job.status.final:
        return 1.0
    if job.progress is None or job.progress.steps == 0:
        return None
    return min(
        1.0, (job.progress.epoch + job.progress.step / job.progress.steps) / job.progress.epochs
    )


def _left(job: Job) -> str:
    eta_s = job.progress.eta_s if job.progress and not job.status.final else None
    return "" if eta_s is None else f"about {duration(max(1.0, round(eta_s)))} left"
