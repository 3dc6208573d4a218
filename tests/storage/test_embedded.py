"""The embedded server: starts, stops, restarts, survives a kill, and dies with its starter."""

import contextlib
import os
import pwd
import signal
import stat
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from app.domain.errors import UnavailableError, UsageError
from app.storage import cluster as place
from app.storage.embedded import EmbeddedPostgres, owning_server

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="only root changes its user")
REPOSITORY = Path(__file__).parents[2]
GUARD_S = 60.0  # for waits that end at once where all is well


@pytest.fixture
def server(short_dir: Path) -> Iterator[EmbeddedPostgres]:
    made = EmbeddedPostgres(short_dir / "my data", patience_s=0.2)
    yield made
    made.remove()


def ask(server: EmbeddedPostgres, query: str) -> object:
    with psycopg.connect(server.url) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[arg-type]
    return row and row[0]


def note(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE note AS SELECT 42 AS n")


def wait_until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + GUARD_S
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def ended(process: psutil.Process) -> bool:
    """Also where nobody has collected its exit code yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_data_survive_a_restart_on_a_path_with_a_space(server: EmbeddedPostgres) -> None:
    with pytest.raises(UnavailableError, match="was not started"):
        _ = server.url
    with server:
        url, pid = server.url, server.pid
        note(server)
        server.start()  # harmless
        assert (server.url, server.pid, server.alive()) == (url, pid, True)
    assert (server.alive(), server.pid) == (False, None)
    assert owning_server(server.cluster_dir) is None
    server.stop()  # harmless
    with server:
        assert ask(server, "SELECT n FROM note") == 42
        assert server.log_file == server.cluster_dir.parent / "logs" / "postgres.log"
        assert "ready to accept connections" in server.log_file.read_text()
    server.remove()
    assert not server.cluster_dir.exists()


def test_nobody_else_can_reach_it(server: EmbeddedPostgres) -> None:
    with server:
        socket = server.cluster_dir / ".s.PGSQL.5432"
        assert stat.S_IMODE(socket.stat().st_mode) == 0o700
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        assert ask(server, "SHOW listen_addresses") == ""
        assert server.pid is not None
        assert psutil.Process(server.pid).net_connections("inet") == []
        assert 0 not in psutil.Process(server.pid).uids()


def test_a_long_path_has_a_short_private_socket(short_dir: Path) -> None:
    long = short_dir / ("x" * 100) / ("y z" * 20)
    assert len(str(long)) > 150
    with EmbeddedPostgres(long) as server:
        url = server.url
        folder = Path(psycopg.conninfo.conninfo_to_dict(url)["host"])  # type: ignore[arg-type]
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder.stat().st_uid == server.cluster_dir.stat().st_uid
        note(server)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: not server.alive())
        server.start()
        assert server.url == url  # others have it already
        assert ask(server, "SELECT n FROM note") == 42
    assert not folder.exists()
    server.remove()


def test_after_a_kill_it_starts_again_with_all_that_was_committed(
    server: EmbeddedPostgres,
) -> None:
    with server:
        note(server)
        with psycopg.connect(server.url):  # a session that is still there when its server dies
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            wait_until(lambda: not server.alive())
            assert (server.cluster_dir / "postmaster.pid").exists()
            server = EmbeddedPostgres(server.cluster_dir.parent)
            server.start()
        assert ask(server, "SELECT n FROM note") == 42
        server.stop()


def test_a_lock_file_with_the_number_of_another_process_is_stale(
    server: EmbeddedPostgres,
) -> None:
    with server:
        note(server)
    owner = place.choose_owner()  # PostgreSQL itself takes a live process of its user for a server
    with subprocess.Popen(["sleep", "600"], cwd="/", **owner.run_as()) as other:  # type: ignore[call-overload]
        stale = f"{other.pid}\n{server.cluster_dir}\n"
        (server.cluster_dir / "postmaster.pid").write_text(stale)
        with server:
            assert ask(server, "SELECT n FROM note") == 42
        other.kill()


def test_two_on_one_directory_are_refused(server: EmbeddedPostgres) -> None:
    with server:
        second = EmbeddedPostgres(server.cluster_dir.parent, patience_s=0.1)
        with pytest.raises(
            UnavailableError, match=f"in use by a server with process id {server.pid}"
        ):
            second.start()
        second.stop()
        assert ask(server, "SELECT 1") == 1


def test_it_waits_for_an_older_server_that_is_going(server: EmbeddedPostgres) -> None:
    server.start()
    assert server.pid is not None
    with psycopg.connect(server.url):  # a smart shutdown waits for this session
        os.kill(server.pid, signal.SIGTERM)
        second = EmbeddedPostgres(server.cluster_dir.parent, patience_s=0.1)
        with pytest.raises(UnavailableError):
            second.start()
    patient = EmbeddedPostgres(server.cluster_dir.parent, patience_s=GUARD_S)
    with patient:
        assert not server.alive()
        assert ask(patient, "SELECT 1") == 1


def test_a_server_that_does_not_start_says_why(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules["app.storage.embedded"].OPTIONS, "max_connections", "nonsense")
    with pytest.raises(UnavailableError, match='did not start .*"max_connections".*see /'):
        server.start()
    assert not server.alive()


def test_the_answer_of_another_server_is_refused(
    server: EmbeddedPostgres, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmbeddedPostgres, "url", postgres.url)
    with pytest.raises(UnavailableError, match=f"{postgres.cluster_dir} answered"):
        server.start()
    assert not server.alive()


def test_a_half_made_cluster_is_made_anew(server: EmbeddedPostgres) -> None:
    half = server.cluster_dir.with_name("postgres.new")
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with server:
        assert ask(server, "SELECT 1") == 1
    assert not half.exists()


def test_the_log_is_kept_once_when_it_is_long(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server:
        pass
    monkeypatch.setattr("app.storage.embedded.LOG_BYTES", 10)
    with server:
        pass
    assert {path.name for path in server.log_file.parent.iterdir()} == {
        "postgres.log",
        "postgres.log.1",
    }


def test_it_dies_in_order_with_a_killed_starter(server: EmbeddedPostgres) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from app.storage.embedded import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(Path(sys.argv[1])); server.start()\n"
        "print(server.pid, flush=True); time.sleep(600)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code, str(server.cluster_dir.parent)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout
    database = psutil.Process(int(starter.stdout.readline()))
    family = [database, *database.children(recursive=True)]
    assert os.getpgid(database.pid) != os.getpgid(starter.pid)  # Ctrl-C passes it by
    starter.kill()
    starter.communicate()
    wait_until(lambda: all(ended(process) for process in family))
    assert "database system is shut down" in server.log_file.read_text()
    assert not (server.cluster_dir / "postmaster.pid").exists()


@contextlib.contextmanager
def quiet_fork() -> Iterator[None]:
    """Newer Pythons warn about a fork beside threads; what runs after it here takes no lock."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def as_nobody(do: Callable[[], str]) -> str:
    """What a function says when an unprivileged user runs it, in a forked child."""
    read, write = os.pipe()
    with quiet_fork():
        child = os.fork()
    if child == 0:
        try:
            nobody = pwd.getpwnam("nobody")
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            said = do()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


@needs_root
def test_an_ordinary_user_has_the_cluster_to_itself(short_dir: Path) -> None:
    data_dir = short_dir / "data"
    data_dir.mkdir(mode=0o700)
    os.chown(data_dir, pwd.getpwnam("nobody").pw_uid, -1)

    def do() -> str:
        with EmbeddedPostgres(data_dir) as server:
            return str(ask(server, "SHOW data_directory"))

    assert as_nobody(do) == str(data_dir / "postgres")


@needs_root
def test_an_unwritable_data_directory_is_a_sentence(short_dir: Path) -> None:
    def do() -> str:
        try:
            EmbeddedPostgres(short_dir).start()
        except UsageError as error:
            return f"refused: {error}"
        return "started"

    said = as_nobody(do)
    assert said.startswith(f"refused: {short_dir} cannot be written (Permission denied): choose")


@needs_root
def test_root_below_a_closed_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    server = EmbeddedPostgres(tmp_path)
    with server:
        assert server.cluster_dir.parent.parent == place.ROOT_PLACE
        assert ask(server, "SELECT 1") == 1
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    server.remove()
    assert not server.cluster_dir.parent.exists()
