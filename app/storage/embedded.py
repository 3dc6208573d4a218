"""A PostgreSQL of our own: a child process on a private unix socket, in the data directory."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import quote

import psutil
import psycopg

from app.domain.errors import UnavailableError
from app.parent import die_with_parent
from app.storage import cluster as place

PORT = 5432  # names the socket file only: no TCP port is opened
SOCKET_PATH_BYTES = 100  # sun_path of sockaddr_un holds 107 on Linux, 103 on macOS
START_S = 60.0  # recovery after a crash included
FAST_STOP_S, IMMEDIATE_STOP_S = 4.0, 1.0  # with the parts' 5 s, `serve` ends within 10 s
POLL_S = 0.02
LOG_BYTES = 5 * 2**20  # an older log is kept once beside a new one from here on

# Small and quiet: what wakes up for nothing costs energy that a measurement would see.
OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "50",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",
    "jit": "off",
    "autovacuum_naptime": "5min",
    "bgwriter_delay": "10s",
    "wal_writer_delay": "10s",
    "checkpoint_timeout": "30min",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EmbeddedPostgres:
    """The server of one data directory; start, stop and start again as often as needed.

    The server gets a fast-shutdown signal when the thread that started it ends: start it from a
    thread that lives as long as the service. Its URL stays the same over restarts until `stop`.
    """

    def __init__(
        self, data_dir: Path, *, log_dir: Path | None = None, patience_s: float = 10.0
    ) -> None:
        """Start nothing yet.

        Args:
            data_dir: where data lie; the cluster is `postgres` in it where that is possible.
            log_dir: where the server's log lies; `logs` in the data directory if not given.
            patience_s: seconds to wait for an older run's server to let the cluster go.

        Raises:
            UsageError: the data directory cannot be made, or our user has no name.
        """
        self._cluster = place.locate(data_dir)
        self._data_dir = data_dir.absolute()
        self._log_dir = log_dir or self._data_dir / "logs"
        self._patience_s = patience_s
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_dir: Path | None = None
        self._log_start = 0

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()

    @property
    def cluster_dir(self) -> Path:
        """Where the database lies."""
        return self._cluster.directory

    @property
    def log_file(self) -> Path:
        """Where the server's log lies."""
        return self._log_dir / "postgres.log"

    @property
    def pid(self) -> int | None:
        """The server's process; null where none runs."""
        return self._process.pid if self._process and self.alive() else None

    @property
    def url(self) -> str:
        """The libpq URL of the database.

        Raises:
            UnavailableError: it was not started.
        """
        if self._socket_dir is None:
            raise UnavailableError("the embedded database was not started")
        host = quote(str(self._socket_dir), safe="")
        return f"postgresql://{place.SUPERUSER}@/postgres?host={host}&port={PORT}"

    def alive(self) -> bool:
        """Whether the server's process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Make the cluster if needed, start the server and wait until it answers.

        Raises:
            UsageError: the place is occupied, not writable, full, or of another major version.
            UnavailableError: another server owns the cluster, or ours does not come up.
        """
        if self.alive():
            return
        programs = place.programs_for(self._cluster)
        place.prepare(self._cluster, programs)
        deadline_s = time.monotonic() + self._patience_s
        self._wait_for_older(deadline_s)
        self._socket_dir = self._socket_dir or self._make_socket_dir()
        try:
            self._launch(programs, deadline_s)
            self._check_identity()
        except BaseException:
            self._halt()  # the URL stays: who has it may see the next start succeed
            raise

    def stop(self) -> None:
        """Stop the server in order, harder where it does not follow; harmless where none runs."""
        self._halt()
        if self._socket_dir not in (None, self.cluster_dir):
            shutil.rmtree(self._socket_dir, ignore_errors=True)
        self._socket_dir = None

    def remove(self) -> None:
        """Stop the server and delete its database for good."""
        self.stop()
        self._cluster.remove()

    def _halt(self) -> None:
        if self._process is not None:
            self._end(self._process)
            self._process = None

    def _wait_for_older(self, deadline_s: float) -> None:
        """An older run's server may still be shutting down; a dead one's lock file is removed."""
        while (pid := owning_server(self.cluster_dir)) is not None:
            if time.monotonic() > deadline_s:
                raise UnavailableError(
                    f"the database in {self.cluster_dir} is in use by a server with process id "
                    f"{pid}: stop the service that started it, or choose another --data-dir"
                )
            time.sleep(POLL_S)
        (self.cluster_dir / "postmaster.pid").unlink(missing_ok=True)

    def _make_socket_dir(self) -> Path:
        """The cluster's own directory (mode 0700), or a short one where that path is too long."""
        if len(os.fsencode(self.cluster_dir / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_BYTES:
            return self.cluster_dir
        short = len(os.fsencode(tempfile.gettempdir())) <= SOCKET_PATH_BYTES // 2
        root = tempfile.gettempdir() if short else "/tmp"
        path = Path(tempfile.mkdtemp(prefix="trainwatt-", dir=root))
        self._cluster.owner.take(path)
        return path

    def _launch(self, programs: Path, deadline_s: float) -> None:
        """Start it; again where the processes of a killed server have not all ended yet."""
        while True:
            self._process = self._spawn(programs)
            if self._wait_until_it_answers(self._process):
                return
            words = self._last_words()
            if "still in use" not in words or time.monotonic() > deadline_s:
                raise UnavailableError(
                    f"the embedded database did not start ({words}): see {self.log_file}"
                )
            time.sleep(10 * POLL_S)

    def _spawn(self, programs: Path) -> subprocess.Popen[bytes]:
        options = {**OPTIONS, "unix_socket_directories": _quoted(self._socket_dir)}
        settings = [part for item in options.items() for part in ("-c", "=".join(item))]
        parent = os.getpid()

        def before_exec() -> None:
            die_with_parent(signal.SIGINT, parent=parent)

        where = ["-D", str(self.cluster_dir), "-p", str(PORT)]
        with self._open_log() as log:
            self._log_start = os.fstat(log.fileno()).st_size
            process: subprocess.Popen[bytes] = subprocess.Popen(
                [str(programs / "postgres"), *where, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=place.clean_environment(),
                start_new_session=True,  # a terminal's Ctrl-C reaches the supervisor alone
                preexec_fn=before_exec,  # noqa: PLW1509 -- takes no lock, runs as the new user
                **self._cluster.owner.run_as(),  # type: ignore[call-overload]
            )
        return process

    def _open_log(self) -> BinaryIO:
        place.make_directory(self._log_dir)
        try:
            if self.log_file.exists() and self.log_file.stat().st_size > LOG_BYTES:
                self.log_file.replace(self.log_file.with_suffix(".log.1"))
            return self.log_file.open("ab")
        except OSError as error:
            raise place.unwritable(self._log_dir, error) from error

    def _last_words(self) -> str:
        with self.log_file.open("rb") as log:
            log.seek(self._log_start)
            return place.last_error(log.read().decode(errors="replace"))

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> bool:
        """True when it answers; false when it has ended."""
        deadline_s = time.monotonic() + START_S
        while process.poll() is None:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
                return True
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline_s:
                    raise UnavailableError(
                        f"the embedded database did not answer in {START_S:.0f} s: see "
                        f"{self.log_file}"
                    ) from error
            time.sleep(POLL_S)
        return False

    def _check_identity(self) -> None:
        with psycopg.connect(self.url) as connection:
            row = connection.execute("show data_directory").fetchone()
        answered = Path(row[0]) if row else None
        if answered is None or answered.resolve() != self.cluster_dir.resolve():
            raise UnavailableError(
                f"expected the server of {self.cluster_dir} behind its socket, but the one of "
                f"{answered} answered: stop that one, or choose another --data-dir"
            )

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        for number, patience_s in (
            (signal.SIGINT, FAST_STOP_S),  # fast shutdown: sessions are ended, data are flushed
            (signal.SIGQUIT, IMMEDIATE_STOP_S),  # immediate: the next start recovers
            (signal.SIGKILL, None),
        ):
            process.send_signal(number)
            try:
                process.wait(patience_s)
                return
            except subprocess.TimeoutExpired:
                continue


def owning_server(cluster_dir: Path) -> int | None:
    """The process id of the live server that owns a cluster; null where the lock file is stale.

    A server has its cluster as its working directory; an id alone proves nothing, since it is
    used again, above all in containers.
    """
    try:
        pid = int((cluster_dir / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        ours = process.name() == "postgres" and Path(process.cwd()).samefile(cluster_dir)
    except (OSError, ValueError, psutil.Error):
        return None
    return pid if ours else None


def _quoted(path: Path | None) -> str:
    """A path for `unix_socket_directories`, which splits at commas."""
    return '"{}"'.format(str(path).replace('"', '""'))
