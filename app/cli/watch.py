"""A job followed to its end: a progress bar on a terminal, one line on each change elsewhere."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from app.client import Client
from app.domain.errors import UnavailableError
from app.domain.hosts import no_taker
from app.domain.jobs import Job, JobStatus
from app.words.jobs import left, says, share

POLL_S = 0.5
PATIENCE_S = 15.0  # how long a service that starts again may be away

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
    if job.status is not JobStatus.QUEUED or not job.to_train.placement.labels:
        return ""
    return no_taker(job.to_train.placement.labels, client.hosts())


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
            done = share(job)
            total = None if done is None else 1.0
            said = ", ".join(filter(None, [says(job, stuck=stuck), left(job)]))
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
