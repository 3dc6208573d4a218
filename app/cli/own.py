"""`trainwatt run`: one job on the service of the data directory, or on one started just for it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rich.console import Console

from app.cli.specs import Body, checked
from app.cli.watch import follow
from app.client import Client
from app.domain.errors import StateError, UnavailableError, UsageError
from app.domain.jobs import Job
from app.domain.specs import JobSpec
from app.ownership import owner
from app.parent import die_with_parent
from app.settings import Settings
from app.workloads import catalogue
from app.workloads.datasets import DATASETS

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ANSWER_S, POLL_S = 60.0, 0.2  # how long another's service may need to start, and how often asked
GIVE_UP_S = 30.0  # what a job that is cancelled is given to end
STOP_S = 60.0  # the supervisor needs ten seconds; more where the host is overloaded
LOOPBACK = "127.0.0.1"
WRONG_USE = 2
SAYS = "trainwatt: "  # how every sentence of a command on standard error begins


@dataclass(frozen=True, kw_only=True)
class Here:
    """The service that a job runs on, and whether it was started just for it."""

    url: str
    started_here: bool


@contextlib.contextmanager
def service(
    settings: Settings,
    *,
    throwaway: bool,
    say: Callable[[str], None],
    console: Console,
    labels: tuple[str, ...] = (),
) -> Iterator[Here]:
    """A service to run on; one that is started here is stopped at the end.

    Args:
        settings: the data directory, and the database where one is given.
        throwaway: start one in a new data directory, and delete that at the end.
        say: told in a sentence which service it is where it is another one.
        console: where the start of our own is shown.
        labels: those of the job; a service of our own must have them.

    Raises:
        UsageError: the data directory cannot be used, or no worker would take the label.
        UnavailableError: the service does not start.
    """
    with contextlib.ExitStack() as stack:
        here = None if throwaway else _running(settings, say)
        if here is None:
            _check_labels(settings, labels)
            try:
                url = stack.enter_context(_started(settings, throwaway=throwaway, console=console))
                here = Here(url=url, started_here=True)
            except UsageError:
                here = None if throwaway else _running(settings, say)  # another one was faster
                if here is None:
                    raise
        yield here


def _running(settings: Settings, say: Callable[[str], None]) -> Here | None:
    """The service of the data directory, as soon as it answers; null where there is none."""
    deadline_s = time.monotonic() + ANSWER_S
    said = False
    while running := owner(settings.data_dir):
        if not said:
            say(
                f"submitting to the service that runs already (process {running.pid}, "
                f"{running.url})"
            )
            said = True
        if _answers(running.url) or time.monotonic() > deadline_s:
            return Here(url=running.url, started_here=False)
        time.sleep(POLL_S)
    return None


def _answers(url: str) -> bool:
    try:
        with Client(url) as client:
            client.call("GET", "/healthz")
    except UnavailableError:
        return False
    return True


def _check_labels(settings: Settings, labels: tuple[str, ...]) -> None:
    """A worker elsewhere may take any label, but only on a database that is given."""
    known = (*settings.labels, f"host:{settings.host_name}")
    missing = [label for label in labels if label not in known]
    if missing and settings.database_url is None:
        raise UsageError(
            f"this host's worker takes no label {missing[0]}; see TRAINWATT_LABELS, or leave "
            "--label out"
        )


def check(body: Body) -> JobSpec:
    """Refuse what any service would refuse, before one is started for it; the spec.

    Raises:
        SpecError: a field does not hold, or the catalogue does not know the training.
    """
    spec = checked(body)
    if (
        spec.dataset.name in DATASETS
    ):  # a user's is known to the service alone, which checks the spec
        catalogue.facts(spec)
    return spec


def run(
    here: Here,
    client: Client,
    body: Body,
    console: Console,
    say: Callable[[str], None],
    *,
    force: bool = False,
) -> Job:
    """Submit a job and follow it to its end; the final job.

    Where we are interrupted, a job on a service of our own is cancelled, since nobody else will
    run it; on another one it goes on, and the user is told so.

    Raises:
        KeyboardInterrupt: the user does not want to wait.
    """
    job = client.submit(body, force=force)
    try:
        return follow(client, job.id, console)
    except KeyboardInterrupt:
        if here.started_here:
            _give_up(client, job.id, console)
        else:
            say(f"stopped watching; the job goes on (trainwatt watch {job.id})")
        raise


def _give_up(client: Client, job_id: str, console: Console) -> None:
    with contextlib.suppress(StateError):  # it ended in this moment
        client.cancel(job_id)
        follow(client, job_id, console, patience_s=GIVE_UP_S)


@contextlib.contextmanager
def _started(settings: Settings, *, throwaway: bool, console: Console) -> Iterator[str]:
    made: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    with tempfile.TemporaryFile() as complaints, _one_stop_signal_raises():
        try:
            with _stop_signals_wait():
                made = Path(tempfile.mkdtemp(prefix="trainwatt-")) if throwaway else None
                process = _start(made or settings.data_dir, complaints, throwaway=throwaway)
            with _starting(console):
                url = _url(process, complaints)
            yield url
        finally:
            _ignore_stop_signals()
            if process:
                _stop(process)
            if made:  # the service deletes it too, but not where it never began
                shutil.rmtree(made, ignore_errors=True)


def _starting(console: Console) -> contextlib.AbstractContextManager[object]:
    said = "starting a service for this job"
    if console.is_terminal:
        return console.status(said)
    console.print(said)
    return contextlib.nullcontext()


def _start(data_dir: Path, complaints: IO[bytes], *, throwaway: bool) -> subprocess.Popen[bytes]:
    """`trainwatt serve` in a session of its own: Ctrl-C is ours to pass on.

    It is on loopback whatever the settings say: it is for this command alone, and needs no key.
    """
    more = ["--throwaway"] if throwaway else []
    ours = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([ours, *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [
            *[sys.executable, "-P", "-m", "app.cli", "serve", "--json", "--port", "0"],
            *["--host", LOOPBACK, "--data-dir", str(data_dir), *more],
        ],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=complaints,
        start_new_session=True,
        preexec_fn=_end_in_order_without_us,  # noqa: PLW1509 -- this process has one thread
    )


def _end_in_order_without_us() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
    die_with_parent(signal.SIGTERM)


def _url(process: subprocess.Popen[bytes], complaints: IO[bytes]) -> str:
    """Wait for the line that says the service is ready."""
    line = process.stdout.readline() if process.stdout else b""
    if line:
        ready: dict[str, Any] = json.loads(line)
        return str(ready["url"])
    exit_code = process.wait()
    reason = _reason(complaints) or f"exit code {exit_code}"
    if exit_code == WRONG_USE:
        raise UsageError(reason)
    raise UnavailableError(f"the service did not start: {reason}")


def _reason(complaints: IO[bytes]) -> str:
    """The service's last sentence; all that it wrote where it said none."""
    complaints.seek(0)
    text = complaints.read().decode(errors="replace").strip()
    said = [line for line in text.splitlines() if line.startswith(SAYS)]
    return said[-1].removeprefix(SAYS) if said else text


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        process.terminate()
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()  # every child of the supervisor has a death signal
        process.wait()
    finally:
        if process.stdout:
            process.stdout.close()


@contextlib.contextmanager
def _one_stop_signal_raises() -> Iterator[None]:
    """The first of Ctrl-C, SIGTERM and SIGHUP interrupts; those that follow change nothing.

    So what was started is stopped, and a second Ctrl-C does not leave it half stopped.
    """
    interrupted = False

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal interrupted
        interrupted = True
        _ignore_stop_signals()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        if not interrupted:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _stop_signals_wait() -> Iterator[None]:
    """Between a process or folder that was made and the name that it has here, none comes."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ignore_stop_signals() -> None:
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
