"""`trainwatt run`: one job on the service of the data directory, or on one started just for it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
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
from app.ownership import owner
from app.parent import die_with_parent
from app.settings import Settings
from app.workloads import catalogue

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
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
    settings: Settings, *, throwaway: bool, say: Callable[[str], None], console: Console
) -> Iterator[Here]:
    """A service to run on; one that is started here is stopped at the end.

    Args:
        settings: the data directory, and the database where one is given.
        throwaway: start one in a new data directory, and delete that at the end.
        say: told in a sentence which service it is where it is another one.
        console: where the start of our own is shown.

    Raises:
        UsageError: the data directory cannot be used.
        UnavailableError: the service does not start.
    """
    here = None if throwaway else owner(settings.data_dir)
    if here:
        say(f"submitting to the service that runs already (process {here.pid}, {here.url})")
        yield Here(url=here.url, started_here=False)
        return
    with _started(settings, throwaway=throwaway, console=console) as url:
        yield Here(url=url, started_here=True)


def check(body: Body) -> None:
    """Refuse what any service would refuse, before one is started for it.

    Raises:
        SpecError: a field does not hold, or the catalogue does not know the training.
    """
    catalogue.facts(checked(body))


def run(
    here: Here, client: Client, body: Body, console: Console, say: Callable[[str], None]
) -> Job:
    """Submit a job and follow it to its end; the final job.

    Where we are interrupted, a job on a service of our own is cancelled, since nobody else will
    run it; on another one it goes on, and the user is told so.

    Raises:
        KeyboardInterrupt: the user does not want to wait.
    """
    job = client.submit(body)
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
        follow(client, job_id, console)


@contextlib.contextmanager
def _started(settings: Settings, *, throwaway: bool, console: Console) -> Iterator[str]:
    with (
        tempfile.TemporaryFile() as complaints,
        _stop_signals_raise(),
        _data_dir(settings, throwaway=throwaway) as data_dir,
    ):
        process = _start(data_dir, complaints, throwaway=throwaway)
        try:
            with _starting(console):
                url = _url(process, complaints)
            yield url
        finally:
            _stop(process)


@contextlib.contextmanager
def _data_dir(settings: Settings, *, throwaway: bool) -> Iterator[Path]:
    """Where the service keeps its data: a new directory that goes at the end, or the settings'.

    A throwaway service deletes its directory itself, but not where it refused to start.
    """
    if not throwaway:
        yield settings.data_dir
        return
    path = Path(tempfile.mkdtemp(prefix="trainwatt-"))
    try:
        yield path
    finally:
        if path.exists():
            shutil.rmtree(path)


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
    """End the service; a second Ctrl-C does not leave it half stopped."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _STOP_SIGNALS}
    try:
        process.terminate()
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()  # every child of the supervisor has a death signal
        process.wait()
    finally:
        if process.stdout:
            process.stdout.close()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _stop_signals_raise() -> Iterator[None]:
    """SIGTERM and SIGHUP end this process as Ctrl-C does, so that what was started is stopped."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
