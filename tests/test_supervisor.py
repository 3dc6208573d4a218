"""`trainwatt serve` with real processes: start, restarts, the end in order, and nothing left."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from app import supervisor
from app.domain.errors import UnavailableError, UsageError
from app.ownership import owner
from app.settings import Settings
from app.storage.cluster import locate
from app.supervisor import Part, Signals, listen

SERVE = [sys.executable, "-m", "app.cli", "serve", "--port", "0"]
START_S, END_S = 600.0, 600.0  # backstops, not thresholds


class Served:
    """`trainwatt serve` as a process, and its parts as the kernel has them."""

    def __init__(self, process, data_dir):
        self.process = process
        self.data_dir = data_dir
        self.started = []

    def until_ready(self):
        """Wait for the two lines; note every process that there is then."""
        first, second = (self.process.stdout.readline().strip() for _ in range(2))
        assert first.startswith("trainwatt is ready at http://127.0.0.1:"), first
        assert str(self.data_dir) in second
        self.url = first.rpartition(" ")[2]
        self.supervisor = psutil.Process(self.process.pid)
        self.started = [self.supervisor, *self.supervisor.children(recursive=True)]
        return self

    def part(self, word):
        """The child whose command line has this word."""
        (found,) = [p for p in self.supervisor.children() if word in p.cmdline()]
        return found

    def answers(self, path):
        try:
            return httpx.get(self.url + path, trust_env=False, timeout=5).is_success
        except httpx.TransportError:
            return False

    def replaced(self, word, before):
        """Whether another process has taken the place of this one."""
        found = [p for p in self.supervisor.children() if word in _words(p)]
        return bool(found) and found[0].pid != before.pid

    def left(self):
        """What still runs of all that was there when the service was ready."""
        return [p for p in self.started if p.is_running() and p.status() != "zombie"]


def _words(process):
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def until(true, what):
    deadline_s = time.monotonic() + END_S
    while not true():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.05)


@pytest.fixture
def start(short_dir):
    """Starts a service in a data directory of its own; kills what a test leaves."""
    begun = []

    def begin(*options, **environment):
        data_dir = short_dir / "data"
        process = subprocess.Popen(
            [*SERVE, "--data-dir", str(data_dir), *options],
            env=os.environ | {"TRAINWATT_HOST_LOCK": str(short_dir / "host.lock")} | environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        begun.append(Served(process, data_dir))
        return begun[-1]

    yield begin
    for served in begun:
        with served.process:
            served.process.kill()
        until(lambda served=served: not served.left(), "a service outlives its test")
        locate(served.data_dir).remove()


def test_it_starts_answers_restarts_its_parts_and_ends_in_order(start):
    served = start().until_ready()
    assert owner(served.data_dir).url == served.url
    assert owner(served.data_dir).pid == served.process.pid
    assert served.answers("/readyz")

    api = served.part("api")
    api.kill()
    until(lambda: served.replaced("api", api), "the API is not started again")
    until(lambda: served.answers("/readyz"), "the API does not keep its port")

    worker = served.part("app.worker")
    worker.kill()
    until(lambda: served.replaced("app.worker", worker), "the worker is not started again")

    (database,) = [p for p in served.supervisor.children() if p.name() == "postgres"]
    database.kill()
    until(lambda: not served.answers("/readyz"), "nobody misses the database")
    until(lambda: served.answers("/readyz"), "the database is not started again")

    served.started = [served.supervisor, *served.supervisor.children(recursive=True)]
    served.process.send_signal(signal.SIGINT)
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(END_S) == 0
    until(lambda: not served.left(), "something runs on")
    assert owner(served.data_dir) is None


def test_it_stops_in_the_middle_of_a_training_and_leaves_no_process(start, capsys):
    served = start().until_ready()
    spec = {"model_type": "cnn", "epochs": 10_000, "dataset": {"name": "digits"}}
    with httpx.Client(base_url=served.url, trust_env=False, timeout=30) as client:
        job = client.post("/v1/jobs", json=spec).raise_for_status().headers["location"]
        until(lambda: client.get(job).json()["stage"] == "training", "nothing trains")
    served.started = [served.supervisor, *served.supervisor.children(recursive=True)]
    began_s = time.monotonic()
    served.process.terminate()
    assert served.process.wait(END_S) == 0
    with capsys.disabled():
        print(f"\nstopped in {time.monotonic() - began_s:.2f} s")  # noqa: T201
    assert len(served.started) > 6  # with the training process
    until(lambda: not served.left(), "something runs on")
    log = (served.data_dir / "logs" / "serve.log").read_text()
    assert "is killed" not in log  # every part ended by itself

    again = start().until_ready()
    with httpx.Client(base_url=again.url, trust_env=False, timeout=30) as client:
        until(lambda: client.get(job).json()["attempt"] == 2, "it does not run again")
        client.post(f"{job}/cancel").raise_for_status()
        until(lambda: client.get(job).json()["finished_at"], "it is not cancelled")
        first = client.get(f"{job}/report").json()["attempts"][0]
    assert (first["ended"], first["energy_j"] > 0) == ("stopped", True)


def test_a_killed_supervisor_leaves_nothing(start):
    served = start().until_ready()
    assert len(served.started) > 5  # API, worker, its fork server, the database's processes
    groups = {os.getpgid(child.pid) for child in served.supervisor.children()}
    assert os.getpgid(served.process.pid) not in groups  # a terminal's Ctrl-C is not theirs
    served.process.kill()
    until(lambda: not served.left(), "something outlives the supervisor")


def test_it_stops_while_it_starts(start):
    served = start()
    until(lambda: owner(served.data_dir), "nobody owns the data directory")
    served.process.terminate()
    assert served.process.wait(END_S) == 0
    assert served.process.stdout.read() == ""


def test_a_throwaway_service_takes_its_data_away(start):
    served = start("--throwaway").until_ready()
    (database,) = [p for p in served.supervisor.children() if p.name() == "postgres"]
    cluster = Path(database.cwd())
    assert cluster.is_dir()
    served.process.terminate()
    assert served.process.wait(END_S) == 0
    assert not cluster.exists()
    assert not served.data_dir.exists()


@pytest.fixture
def part(tmp_path):
    """Makes a part that runs a line of Python, and ends it after the test."""
    made = []

    def make(code, **fields):
        fields = {
            "stop_s": 0.2,
            "environment": dict(os.environ),
            "output_file": tmp_path / "part.out",
        } | fields
        made.append(Part(name="part", command=[sys.executable, "-c", code], **fields))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def test_a_part_that_cannot_start_is_given_up_with_its_last_words(
    part, tmp_path, database_url, monkeypatch
):
    broken = part("import sys; sys.exit('no meter here')")
    monkeypatch.setattr(supervisor, "_parts", lambda *_: [broken])
    settings = Settings(port=0, data_dir=tmp_path, database_url=database_url)
    with (
        Signals() as signals,
        listen(settings) as listener,
        pytest.raises(UnavailableError, match=r"5 times.*exit code 1.*no meter here"),
    ):
        supervisor.Supervisor(settings, listener, None, signals, tmp_path).run(pytest.fail)


def test_a_part_that_a_setting_keeps_from_starting_is_not_started_again(
    part, tmp_path, database_url, monkeypatch
):
    said = "trainwatt part: TRAINWATT_THIS contradicts the host: unset it"
    broken = part(f"import sys; print({said!r}); sys.exit(2)")
    monkeypatch.setattr(supervisor, "_parts", lambda *_: [broken])
    settings = Settings(port=0, data_dir=tmp_path, database_url=database_url)
    with (
        Signals() as signals,
        listen(settings) as listener,
        pytest.raises(UsageError, match="^TRAINWATT_THIS contradicts the host: unset it$"),
    ):
        supervisor.Supervisor(settings, listener, None, signals, tmp_path).run(pytest.fail)
    assert broken.ends == 1


def test_the_pause_before_a_restart_doubles_up_to_its_bound(part, monkeypatch):
    ended = part("")
    pauses = []
    for _ in range(8):
        ended.start()
        ended.process.wait()
        monkeypatch.setattr(supervisor.time, "monotonic", lambda: ended.started_s)
        ended.tend()
        pauses.append(ended.restart_s - ended.started_s)
        monkeypatch.undo()
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
    ended.start()
    ended.process.wait()
    monkeypatch.setattr(supervisor.time, "monotonic", lambda: ended.started_s + 30)
    ended.tend()
    assert ended.restart_s - ended.started_s == pytest.approx(30.1)


def test_each_death_is_logged_once_with_the_words_of_that_process(part, caplog):
    failing = part("import sys; sys.exit('no meter here')")
    failing.start()
    failing.process.wait()
    failing.tend()
    failing.tend()
    assert caplog.text.count("ended with exit code 1") == 1
    assert "its last words: no meter here" in caplog.text
    caplog.clear()
    failing.command[-1] = "import sys; sys.exit(3)"
    failing.start()
    failing.process.wait()
    failing.tend()
    assert "exit code 3" in caplog.text
    assert "its last words: none" in caplog.text


def test_the_time_to_end_counts_from_the_one_request(part, tmp_path):
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))\n"
        "print('here', flush=True)\n"
        "while True: time.sleep(3600)"
    )
    slow = part(code)
    slow.start()
    until((tmp_path / "part.out").read_text, "it says nothing")
    slow.ask_to_end()
    until(lambda: "asked" in (tmp_path / "part.out").read_text(), "it was not asked")
    slow.asked_s -= slow.stop_s  # its time is over already
    slow.stop()
    assert (tmp_path / "part.out").read_text().split() == ["here", "asked"]
    assert slow.process is None


def test_a_part_that_does_not_end_is_killed_with_its_children(part, tmp_path):
    stubborn = part(
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)'])\n"
        "print('deaf', flush=True)\n"
        "time.sleep(3600)"
    )
    stubborn.start()
    process = psutil.Process(stubborn.process.pid)
    until((tmp_path / "part.out").read_text, "it says nothing")
    (child,) = process.children()
    stubborn.stop()
    assert not process.is_running()
    until(lambda: not child.is_running() or child.status() == "zombie", "its child lives on")


def test_what_a_part_writes_is_bounded(part, tmp_path):
    chatty = part("import time; print('x' * 2_000_000, flush=True); time.sleep(3600)")
    chatty.start()
    until(lambda: (tmp_path / "part.out").stat().st_size > 2_000_000, "it says nothing")
    chatty.tend()
    assert (tmp_path / "part.out").stat().st_size == 0


def test_a_deleted_data_directory_is_a_sentence(part, tmp_path, database_url, monkeypatch):
    data_dir = tmp_path / "data"
    (data_dir / "logs").mkdir(parents=True)
    living = part("import time; time.sleep(3600)", output_file=data_dir / "logs" / "part.out")
    monkeypatch.setattr(supervisor, "_parts", lambda *_: [living])
    settings = Settings(port=0, data_dir=data_dir, database_url=database_url)
    before = living.start

    def start():
        before()
        shutil.rmtree(data_dir)

    monkeypatch.setattr(living, "start", start)
    with (
        Signals() as signals,
        listen(settings) as listener,
        pytest.raises(UnavailableError, match="was deleted"),
    ):
        supervisor.Supervisor(settings, listener, None, signals, tmp_path).run(pytest.fail)
    assert living.process is None
    with pytest.raises(UnavailableError, match="cannot be written"):
        before()


def test_ctrl_c_on_the_terminal_while_the_database_is_made(short_dir):
    environment = os.environ | {"TRAINWATT_HOST_LOCK": str(short_dir / "host.lock")}
    with subprocess.Popen(
        [*SERVE, "--throwaway", "--data-dir", str(short_dir / "data")],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        below = psutil.Process(process.pid).children
        until(lambda: any(p.name() == "initdb" for p in below()), "no database is made")
        os.killpg(process.pid, signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(END_S) == 0
    assert "stopping (SIGINT)" in said
    assert said.splitlines()[-1].endswith("stopped")


def test_the_parts_write_nothing_into_the_home(tmp_path, monkeypatch):
    settings = Settings(data_dir=tmp_path)
    given = supervisor._environment(settings, "postgresql://", settings.data_dir)
    assert given["KERAS_HOME"] == str(tmp_path / "cache" / "keras")
    assert given["MPLCONFIGDIR"] == str(tmp_path / "cache" / "matplotlib")
    monkeypatch.setenv("KERAS_HOME", "/mine")
    assert (
        supervisor._environment(settings, "postgresql://", settings.data_dir)["KERAS_HOME"]
        == "/mine"
    )


def test_a_database_that_does_not_answer_is_unavailable(short_dir):
    done = subprocess.run(
        [*SERVE, "--data-dir", str(short_dir / "data")],
        env=os.environ | {"TRAINWATT_DATABASE_URL": "postgresql://127.0.0.1:9/none"},
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("trainwatt: ")
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_one_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port}.*--port"):
            listen(Settings(port=port, data_dir=tmp_path))


def test_port_0_is_a_free_one(tmp_path):
    with listen(Settings(port=0, data_dir=tmp_path)) as listener:
        assert listener.getsockname()[1] > 0


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_the_url_names_host_and_port(host, shown):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("this host has no IPv6")
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        assert supervisor.url_of(host, listener) == f"http://{shown}:{port}"


def test_signals_are_noted_and_wake_the_wait():
    before = signal.getsignal(signal.SIGTERM)
    with Signals() as signals:
        signals.wait(0)
        assert not signals.stop
        os.kill(os.getpid(), signal.SIGTERM)
        signals.wait(END_S)
        assert signals.stop
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_end_of_a_child_wakes_the_wait():
    with Signals() as signals:
        child = subprocess.Popen([sys.executable, "-c", ""])
        begun = time.monotonic()
        signals.wait(END_S)
        assert time.monotonic() - begun < END_S
        assert not signals.stop
        child.wait()
