"""`trainwatt serve`: database, API and worker started, watched, restarted and stopped in order.

The supervisor runs in the main thread of a process of its own. It sleeps in one `select` on a
pipe that signals write to; the end of a child is a signal too, so that it wakes for nothing but
once a minute for its files. A kill -9 of it leaves nothing behind: every child asked the kernel
for a death signal.
"""

import contextlib
import http.client
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from app import logs, reference
from app.domain.errors import TrainwattError, UnavailableError, UsageError
from app.keys import needed_key
from app.ownership import occupied, own, owner
from app.parent import die_with_parent
from app.settings import Settings
from app.storage.embedded import EmbeddedPostgres
from app.storage.migrate import migrate

logger = logging.getLogger(__name__)

BACKLOG = 512  # connections that wait while the API starts again
MAX_OUTPUT_BYTES = 1_000_000  # of what a part writes outside its log
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
TICK_S = 60.0  # how often the size of what the parts wrote is looked at
READY_POLL_S = 0.2  # how often /readyz is asked while the service starts
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.1, 5.0
LIVED_LONG_S = 30.0  # a part that lived this long starts again at the first backoff
WRONG_USE = 2  # exit code of a part that a setting keeps from starting
MAX_FAILED_STARTS = 5  # ends of one part before the service was ever ready
WORKER_STOP_S, API_STOP_S = 4.5, 3.0  # then SIGKILL; both at once, and then the database in 5 s


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What a person is told once: where the service answers and where its data lie."""

    url: str
    data_dir: Path
    cluster_dir: Path | None  # of the embedded database; null where a database was given


def serve(
    settings: Settings, on_ready: Callable[[Ready], None], *, throwaway: bool = False
) -> None:
    """Run the whole service until SIGTERM, SIGINT or SIGHUP; returns when everything has ended.

    Args:
        settings: host, port, data directory and database.
        on_ready: called once, when `/readyz` answered for the first time.
        throwaway: delete the data directory and the database at the end, whatever happened.

    Raises:
        UsageError: the port is in use, the data directory cannot be written or has an owner
            already.
        UnavailableError: the database does not answer, or a part ends again and again before the
            service was ready.
    """
    with (
        Signals() as signals,
        contextlib.closing(listen(settings)) as listener,
        own(settings.data_dir, url_of(settings.host, listener)),
        _throwaway(settings.data_dir) if throwaway else contextlib.nullcontext(),
        _logs(settings),
        tempfile.TemporaryDirectory(prefix="trainwatt-", ignore_cleanup_errors=True) as scratch,
    ):
        reference.check_default(settings.country_iso_code, settings.region)
        needed_key(settings)  # made before anybody can ask
        database = None if settings.database_url else EmbeddedPostgres(settings.data_dir)
        try:
            Supervisor(settings, listener, database, signals, Path(scratch)).run(on_ready)
        finally:
            if throwaway and database:
                database.remove()


class Supervisor:
    """Keeps database, API and worker alive until a signal says stop."""

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        database: EmbeddedPostgres | None,
        signals: "Signals",
        scratch: Path,
    ) -> None:
        """Start nothing yet; what the parts leave in `scratch` goes when all has ended."""
        self._scratch = scratch
        self._settings = settings
        self._listener = listener
        self._database = database
        self._signals = signals
        self._parts: list[Part] = []
        self._ready = False
        self._database_due_s: float | None = None  # of a failed restart

    def run(self, on_ready: Callable[[Ready], None]) -> None:
        """Start everything, keep it alive, and stop it in order whatever happens.

        Raises:
            UnavailableError: the database does not answer, or the start fails again and again.
            UsageError: a part says at its start that a setting is wrong.
        """
        try:
            self._start()
            while not self._signals.stop:
                self._signals.wait(self._pause_s())
                self._tend(on_ready)
        finally:
            why = self._signals.stop.name if self._signals.stop else "it cannot go on"
            logger.info("stopping (%s)", why)
            self._stop()
            logger.info("stopped")

    def _start(self) -> None:
        if self._database:
            self._database.start()
        if self._signals.stop:
            return
        url = self._database.url if self._database else self._settings.database_url
        if url is None:
            raise UsageError("expected a database URL, received none")
        migrate(url)
        if self._signals.stop:
            return
        self._parts = _parts(self._settings, self._listener, url, self._scratch)
        for part in self._parts:
            part.start()

    def _pause_s(self) -> float:
        usual = TICK_S if self._ready else READY_POLL_S
        due = [part.restart_s for part in self._parts if part.restart_s]
        if self._database_due_s:
            due.append(self._database_due_s)
        return max(0.0, min([usual, *(due_s - time.monotonic() for due_s in due)]))

    def _tend(self, on_ready: Callable[[Ready], None]) -> None:
        if self._signals.stop:
            return
        if not self._settings.data_dir.exists():
            raise UnavailableError(
                f"the data directory {self._settings.data_dir} was deleted: start again, and "
                "leave it while the service runs"
            )
        self._revive_database()
        for part in self._parts:
            part.tend()
        if self._ready:
            return
        self._give_up_on_failed_starts()
        if _answers_ready(self._settings, self._listener):
            self._ready = True
            on_ready(self._facts())

    def _facts(self) -> Ready:
        return Ready(
            url=url_of(self._settings.host, self._listener),
            data_dir=self._settings.data_dir,
            cluster_dir=self._database.cluster_dir if self._database else None,
        )

    def _revive_database(self) -> None:
        if self._database is None or self._database.alive():
            return
        if self._database_due_s and time.monotonic() < self._database_due_s:
            return
        logger.error("the embedded database ended and is started again")
        try:
            self._database.start()
        except TrainwattError as error:
            logger.error("the embedded database does not start: %s", error)
            self._database_due_s = time.monotonic() + LAST_BACKOFF_S
            return
        self._database_due_s = None  # the parts have waited for it, and find it by themselves

    def _give_up_on_failed_starts(self) -> None:
        for part in self._parts:
            if part.exit_code == WRONG_USE:  # it would say the same again
                raise UsageError(part.last_words().removeprefix(f"trainwatt {part.name}: "))
            if part.ends >= MAX_FAILED_STARTS:
                raise UnavailableError(
                    f"the {part.name} ended {part.ends} times before it was ready "
                    f"(exit code {part.exit_code}); its last words: {part.last_words()}"
                )

    def _stop(self) -> None:
        ending = self._parts[::-1]  # the worker first: it has the most to write
        for part in ending:
            part.ask_to_end()
        for part in ending:
            part.stop()
        if self._database:
            self._database.stop()


@dataclass(kw_only=True)
class Part:
    """One child process: how it is started, when it is started again, how it is stopped."""

    name: str
    command: list[str]
    environment: dict[str, str]
    output_file: Path
    stop_s: float
    pass_fds: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0  # moments of the monotonic clock, as are the next two
    restart_s: float | None = None
    asked_s: float | None = None  # when it was asked to end
    backoff_s: float = FIRST_BACKOFF_S
    ends: int = 0
    exit_code: int | None = None
    _words_begin: int = 0  # where this process's own output begins in the file

    def start(self) -> None:
        """Start the process in a session of its own, bound to this process by a death signal."""
        supervisor = os.getpid()

        def before_exec() -> None:
            die_with_parent(signal.SIGKILL, parent=supervisor)

        with self._open_output() as log:
            self._words_begin = log.tell()
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=self.pass_fds,
                start_new_session=True,  # Ctrl-C on the terminal reaches the supervisor alone
                preexec_fn=before_exec,  # noqa: PLW1509 -- this process has one thread
            )
        self.started_s, self.restart_s, self.asked_s = time.monotonic(), None, None

    def _open_output(self) -> BinaryIO:
        try:
            return self.output_file.open("ab")
        except OSError as error:
            raise UnavailableError(
                f"the {self.name} cannot be started: {self.output_file} cannot be written "
                f"({error.strerror})"
            ) from error

    def tend(self) -> None:
        """Notice the end of the process, and start it again when its time has come."""
        if self.process and self.process.poll() is not None:
            self._ended(self.process.returncode)
        if self.output_file.exists() and self.output_file.stat().st_size > MAX_OUTPUT_BYTES:
            os.truncate(self.output_file, 0)
        if self.restart_s and time.monotonic() >= self.restart_s:
            self.start()

    def _ended(self, exit_code: int) -> None:
        now = time.monotonic()
        if now - self.started_s >= LIVED_LONG_S:
            self.backoff_s = FIRST_BACKOFF_S
        logger.error(
            "the %s ended with exit code %s and is started again in %.1f s; its last words: %s",
            self.name,
            exit_code,
            self.backoff_s,
            self.last_words(),
        )
        self.process, self.exit_code, self.ends = None, exit_code, self.ends + 1
        self.restart_s = now + self.backoff_s
        self.backoff_s = min(LAST_BACKOFF_S, 2 * self.backoff_s)

    def ask_to_end(self) -> None:
        """Send SIGTERM, once a process; where `tend` goes on, it starts the part again."""
        if self.process and self.asked_s is None:
            self.process.terminate()
            self.asked_s = time.monotonic()

    def stop(self) -> None:
        """End the process, and kill it with its session `stop_s` seconds after it was asked to."""
        self.ask_to_end()
        if self.process is None or self.asked_s is None:
            return
        try:
            self.process.wait(max(0.0, self.asked_s + self.stop_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            logger.warning("the %s did not end in %.0f s and is killed", self.name, self.stop_s)
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def last_words(self) -> str:
        """The last line that the process wrote, for a sentence about its end."""
        if not self.output_file.exists():
            return f"none ({self.output_file} was deleted)"
        with self.output_file.open("rb") as output:
            size = output.seek(0, os.SEEK_END)
            output.seek(self._words_begin if self._words_begin <= size else 0)  # it may be cut
            lines = output.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"none (see {self.output_file})"


def _parts(
    settings: Settings, listener: socket.socket, database_url: str, scratch: Path
) -> list[Part]:
    """API and worker, in the order of their start."""
    python = [sys.executable, "-P", "-m"]  # -P: a folder named `app` where we stand is not ours
    environment = _environment(settings, database_url, scratch)
    fd = listener.fileno()
    return [
        Part(
            name="API",
            command=[*python, "app.cli", "api", "--fd", str(fd)],
            environment=environment,
            output_file=settings.log_dir / "api.out",
            stop_s=API_STOP_S,
            pass_fds=(fd,),
        ),
        Part(
            name="worker",
            command=[*python, "app.worker"],
            environment=environment,
            output_file=settings.log_dir / "worker.out",
            stop_s=WORKER_STOP_S,
        ),
    ]


def _environment(settings: Settings, database_url: str, scratch: Path) -> dict[str, str]:
    ours = str(Path(__file__).resolve().parent.parent)
    path = [ours, *filter(None, [os.environ.get("PYTHONPATH")])]
    cache = settings.data_dir / "cache"
    return {
        "KERAS_HOME": str(cache / "keras"),  # not in the home, unless the user says so
        "MPLCONFIGDIR": str(cache / "matplotlib"),
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "TRAINWATT_DATABASE_URL": database_url,
        "TRAINWATT_DATA_DIR": str(settings.data_dir),
        "TRAINWATT_HOST": settings.host,
        "TRAINWATT_HOST_LOCK": str(settings.host_lock),  # not where its default would be now
        "TMPDIR": str(scratch),
        "TRAINWATT_SUPERVISED": "1",
    }


@dataclass
class Signals:
    """Signals as bytes in a pipe: nothing is interrupted, and one `select` waits for all."""

    stop: signal.Signals | None = None  # the first that says so
    _read: int = -1
    _write: int = -1
    _before: dict[signal.Signals, object] = field(default_factory=dict)

    def __enter__(self) -> "Signals":
        """Take the signals over."""
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (*STOP_SIGNALS, signal.SIGCHLD):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)

    def _note(self, number: int, _frame: object) -> None:
        if number in STOP_SIGNALS and self.stop is None:
            self.stop = signal.Signals(number)

    def wait(self, timeout_s: float) -> None:
        """Sleep until a signal comes, `timeout_s` seconds at most."""
        if select.select([self._read], [], [], timeout_s)[0]:
            os.read(self._read, 4096)


def listen(settings: Settings) -> socket.socket:
    """The listening socket; every API process of a service inherits it, and so keeps the port.

    Raises:
        UsageError: the port cannot be used.
    """
    family, kind, _, _, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM
    )[0]
    listener = socket.socket(family, kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _port_error(settings, error) from error
    return listener


def _port_error(settings: Settings, error: OSError) -> UsageError:
    here = owner(settings.data_dir)
    if here and here.url == _url(settings.host, settings.port):
        return occupied(settings.data_dir, here)
    return UsageError(
        f"port {settings.port} of {settings.host} cannot be used ({error.strerror}): choose "
        "another with --port or TRAINWATT_PORT (0: any free one)"
    )


def url_of(host: str, listener: socket.socket) -> str:
    """The URL of a service that listens here, as a client on this machine asks it."""
    return _url(host, listener.getsockname()[1])


def _here(host: str) -> str:
    """An address that reaches a listener on all addresses, or the address itself."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _url(host: str, port: int) -> str:
    host = _here(host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _answers_ready(settings: Settings, listener: socket.socket) -> bool:
    connection = http.client.HTTPConnection(
        _here(settings.host), listener.getsockname()[1], timeout=1
    )
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def _logs(settings: Settings) -> Iterator[None]:
    """This process's log, kept until the data directory may be deleted."""
    logs.configure("serve", settings)
    try:
        yield
    finally:
        logging.shutdown()


@contextlib.contextmanager
def _throwaway(data_dir: Path) -> Iterator[None]:
    """Delete the data directory at the end, however that comes."""
    try:
        yield
    finally:
        if data_dir.exists():
            shutil.rmtree(data_dir)
