"""Builds the image and runs it and the compose stack on a Docker engine: `make test-container`.

Needs `docker` (with `docker compose` or `docker-compose`) and `curl`, and of Python the standard
library alone. Where no engine answers it says so and exits 0. Everything that it makes has names
of its own and is removed.
Environment: TRAINWATT_CHECK_BUILD_ARGS (more arguments of `docker build`),
TRAINWATT_CHECK_COLD=1 (build from nothing, for the figure).
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
NAME = f"trainwatt-check-{os.getpid()}"
IMAGE = NAME
PATIENCE_S = 300  # for what takes seconds on an idle machine
STOP_S = 15  # a stop must not need the engine's SIGKILL
SMALL = {"model_type": "cnn", "size": "tiny", "epochs": 1, "dataset": {"name": "digits"}}
LONG = {"model_type": "rnn", "size": "base", "epochs": 80, "dataset": {"name": "digits"}}
LOCKED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


class CheckError(Exception):
    """Something does not hold; the text says what was expected and what was received."""


def main() -> int:
    """Run every check; 0 if all hold, 1 with a sentence if one does not."""
    if not shutil.which("docker") or done("docker", "info").returncode != 0:
        say("no Docker engine answers here (`docker info` fails): nothing was checked")
        return 0
    if not shutil.which("curl"):
        say("FAILED: expected `curl` on the PATH, received none")
        return 1
    try:
        with contextlib.ExitStack() as at_end:
            build(at_end)
            check_run()
            check_arbitrary_user()
            check_refusal()
            check_compose()
    except CheckError as error:
        say(f"FAILED: {error}")
        return 1
    say("all of it holds")
    return 0


def build(at_end: contextlib.ExitStack) -> None:
    """Build the image; print how long it took, again after a change of the source, and sizes."""
    at_end.callback(done, "docker", "image", "rm", "--force", IMAGE)
    cold = ("--no-cache",) if os.environ.get("TRAINWATT_CHECK_COLD") else ()
    started_s = time.monotonic()
    build_image(PROJECT, *cold)
    how = "without a cache" if cold else "with the layers that the engine had"
    say(f"built {how} in {time.monotonic() - started_s:.1f} s")
    with tempfile.TemporaryDirectory() as copy:
        seconds = build_changed(Path(copy))
    say(f"built after a change of the source in {seconds:.1f} s")
    print_sizes()


def build_image(context: Path, *options: str, tag: str = IMAGE) -> None:
    """`docker build` of a folder."""
    more = shlex.split(os.environ.get("TRAINWATT_CHECK_BUILD_ARGS", ""))
    os.environ.setdefault("DOCKER_BUILDKIT", "1")
    run("docker", "build", "--quiet", *more, *options, "--tag", tag, str(context))


def build_changed(copy: Path) -> float:
    """Seconds that a build takes after one line of the source changed."""
    for name in (".dockerignore", "Dockerfile", "LICENSE", "README.md"):
        shutil.copy2(PROJECT / name, copy)
    for name in ("constraints.txt", "pyproject.toml"):
        shutil.copy2(PROJECT / name, copy)
    for name in ("app", "container"):
        shutil.copytree(PROJECT / name, copy / name)
    with (copy / "app" / "__init__.py").open("a") as source:
        source.write(f"# changed at {time.time()}\n")
    started_s = time.monotonic()
    try:
        build_image(copy, tag=f"{IMAGE}-changed")
        return time.monotonic() - started_s
    finally:
        done("docker", "image", "rm", "--force", f"{IMAGE}-changed")


def print_sizes() -> None:
    """The size of the image and the ten largest things in it."""
    size = int(run("docker", "image", "inspect", "--format", "{{.Size}}", IMAGE))
    say(f"the image holds {size / 1e9:.2f} GB; the largest things in it:")
    script = (
        "du -xk -d 1 /opt/trainwatt/lib/python*/site-packages /usr /usr/local /var"
        " | sort -rn | grep -vE '(site-packages|/usr|/usr/local|/var)$' | head -n 10"
    )
    listed = run(
        *("docker", "run", "--rm", "--user", "0", "--entrypoint", "sh", IMAGE, "-c", script)
    )
    for line in listed.splitlines():
        kilobytes, path = line.split(maxsplit=1)
        say(f"  {int(kilobytes) * 1024 / 1e6:6.0f} MB  {path}")


def check_run() -> None:
    """`docker run` with a read-only root: a job to its report, a stop, the same volume again."""
    with volume() as data:
        with container("--volume", f"{data}:/data", *LOCKED) as first:
            key = first.key()
            expect("status without a key", first.service(None).status("/v1/jobs"), 401)
            expect("a write to the root", first.may_write("/anywhere"), False)
            job = finished(first.service(key), SMALL)
            first.wait_healthy()
            cut = interrupted(first)
        say(f"a job of `docker run` is {job['status']}; read-only root, healthy, stopped with 0")
        with container("--volume", f"{data}:/data", *LOCKED) as second:
            expect("key said again", second.said_key(), None)
            expect_report(second.service(key), job["id"])
            expect("last attempt of the cut job", second.service(key).wait(cut)["attempt"], 2)
            second.stop()
        say("its report and key outlived the container, and a job that the stop cut was finished")


def interrupted(running: "Container") -> str:
    """Stop a container while it trains; the job's id."""
    service = running.service(running.key())
    job_id = service.submit(LONG)
    until("the training has begun", lambda: training(service, job_id))
    running.stop()
    return job_id


def check_arbitrary_user() -> None:
    """A user id that the image does not know, on a volume of its own."""
    with (
        volume() as data,
        container("--volume", f"{data}:/data", "--user", "12345:0", *LOCKED) as run_by,
    ):
        job = finished(run_by.service(run_by.key()), SMALL)
        run_by.stop()
    say(f"a job of user 12345 is {job['status']}")


def check_refusal() -> None:
    """A user who cannot write the volume is told so in one sentence."""
    with volume() as data:
        refused = done(
            *("docker", "run", "--rm", "--volume", f"{data}:/data", "--user", "12345:12345", IMAGE)
        )
    expect("exit code of a user who cannot write", refused.returncode, 2)
    sentence = refused.stderr.strip()
    if "cannot be written by user 12345:12345" not in sentence or "\n" in sentence:
        raise CheckError(f"expected one sentence on a volume not writable, received {sentence!r}")
    say(f"another is refused: {sentence}")


def check_compose() -> None:
    """The stack: a job, down and up, a worker killed in the middle, two workers on one host."""
    with stack() as compose:
        started_s = time.monotonic()
        compose.up()
        say(f"the compose stack is healthy after {time.monotonic() - started_s:.1f} s")
        service = compose.service()
        job = finished(service, SMALL)
        compose("down")
        compose.up()
        expect_report(service, job["id"])
        say(f"a job of the stack is {job['status']}, and its report outlived down and up")
        check_killed_worker(compose, service)
        compose.up("--scale", "worker=2")
        check_two_workers(compose, service)


def check_killed_worker(compose: "Compose", service: "Service") -> None:
    """A worker's container is killed while it trains; another attempt finishes the job."""
    job_id = service.submit(LONG)
    until("the training has begun", lambda: training(service, job_id))
    run("docker", "kill", *compose("ps", "--quiet", "worker").split())
    compose.up()  # the engine takes `docker kill` for a person's wish and does not start it again
    job = service.wait(job_id)
    report = expect_report(service, job_id)
    ended = [attempt["ended"] for attempt in report["attempts"]]
    expect("status of the job whose worker was killed", job["status"], "succeeded")
    expect("number of its last attempt", job["attempt"], 2)
    say(f"a job whose worker was killed took two attempts: {', '.join(ended)}")


def training(service: "Service", job_id: str) -> bool:
    """Whether a job is in the middle: some of its steps are done."""
    job = service.get(f"/v1/jobs/{job_id}")
    if job["status"] not in {"queued", "running"}:
        raise CheckError(f"expected a job that runs for a while, received {job}")
    progress = job["progress"] or {"epoch": 0, "step": 0}
    return bool(job["stage"] == "training" and progress["epoch"] + progress["step"] > 0)


def check_two_workers(compose: "Compose", service: "Service") -> None:
    """Two workers on one host never measure at the same time."""
    expect("workers", len(compose("ps", "--quiet", "worker").split()), 2)
    ids = [service.submit(SMALL) for _ in range(6)]
    jobs = [service.wait(job_id) for job_id in ids]
    spans = sorted(span(expect_report(service, job_id)) for job_id in ids)
    for (_, ended), (started, _) in zip(spans, spans[1:], strict=False):
        if started < ended:
            raise CheckError(f"expected one measurement at a time, received the times {spans}")
    hosts = sorted({job["host"] for job in jobs})
    expect("workers that took part", len(hosts), 2)
    say(f"six jobs of the two workers {' and '.join(hosts)} were measured one after the other")


def span(report: dict[str, Any]) -> tuple[datetime, datetime]:
    """When a measurement began and ended."""
    started = datetime.fromisoformat(report["started_at"])
    return started, started + timedelta(seconds=report["duration_s"])


@dataclass(frozen=True)
class Service:
    """The HTTP interface, asked by curl from outside."""

    url: str
    key: str | None

    def status(self, path: str) -> int:
        """The HTTP status of a GET; 0 where nothing answers."""
        return int(self._curl(path, "--output", os.devnull, "--write-out", "%{http_code}").stdout)

    def get(self, path: str) -> dict[str, Any]:
        """The JSON of a GET."""
        return self._json(path)

    def submit(self, spec: dict[str, Any]) -> str:
        """Queue a job; its id."""
        body = json.dumps(spec)
        return str(self._json("/v1/jobs", "--json", body)["id"])

    def wait(self, job_id: str) -> dict[str, Any]:
        """The job when it is final."""
        live = {"queued", "running"}
        until(
            f"job {job_id} is final", lambda: self.get(f"/v1/jobs/{job_id}")["status"] not in live
        )
        return self.get(f"/v1/jobs/{job_id}")

    def _json(self, path: str, *options: str) -> dict[str, Any]:
        answer = self._curl(path, "--fail-with-body", *options)
        if answer.returncode != 0:
            raise CheckError(f"{path}: {answer.stderr.strip()} {answer.stdout}")
        read: dict[str, Any] = json.loads(answer.stdout)
        return read

    def _curl(self, path: str, *options: str) -> subprocess.CompletedProcess[str]:
        key = ("--header", f"Authorization: Bearer {self.key}") if self.key else ()
        quiet = ("--silent", "--show-error", "--noproxy", "*", "--max-time", "30")
        return done("curl", *quiet, *key, *options, self.url + path)


@dataclass(frozen=True)
class Container:
    """A container of the image under test."""

    name: str
    started_s: float

    def said_key(self) -> str | None:
        """The key as it stands in the log; null where none was said."""
        found = re.search(r"^Key: (\S+)$", run("docker", "logs", self.name), re.MULTILINE)
        return found[1] if found else None

    def key(self) -> str:
        """The key that the first start made."""
        key = self.said_key()
        if key is None:
            raise CheckError(f"expected a line with the key, received {self.words()}")
        return key

    def service(self, key: str | None) -> Service:
        """Its interface through the published port."""
        address = run("docker", "port", self.name, "8000/tcp").splitlines()[0]
        return Service(f"http://{address.strip()}", key)

    def wait_ready(self) -> None:
        """Wait until `/readyz` answers and the ready line is said; print how long it took."""
        service = self.service(None)
        until("the service is ready", lambda: self._alive() and service.status("/readyz") == 200)
        say(f"`docker run` to ready: {time.monotonic() - self.started_s:.1f} s")
        until("the ready line", lambda: "is ready at" in run("docker", "logs", self.name))

    def _alive(self) -> bool:
        if self._state("{{.State.Running}}") != "true":
            raise CheckError(f"expected a container that runs, received: {self.words()}")
        return True

    def wait_healthy(self) -> None:
        """Wait for the image's own health check."""
        until("healthy", lambda: self._state("{{.State.Health.Status}}") == "healthy")

    def may_write(self, path: str) -> bool:
        """Whether the container's user can make a file."""
        return done("docker", "exec", self.name, "touch", path).returncode == 0

    def stop(self) -> None:
        """SIGTERM; it must end by itself, soon, and with 0."""
        started_s = time.monotonic()
        run("docker", "stop", "--time", "60", self.name)
        took_s = time.monotonic() - started_s
        expect("exit code after SIGTERM", self._state("{{.State.ExitCode}}"), "0")
        if took_s > STOP_S:
            raise CheckError(f"expected an end within {STOP_S} s of SIGTERM, received {took_s:.1f}")
        say(f"stopped in {took_s:.1f} s")

    def words(self) -> str:
        """All that it said."""
        both = done("docker", "logs", self.name)
        return both.stdout + both.stderr

    def _state(self, form: str) -> str:
        return run("docker", "inspect", "--format", form, self.name).strip()


@dataclass(frozen=True)
class Compose:
    """The compose stack under a project name and a port of its own."""

    command: tuple[str, ...]
    environment: dict[str, str]

    def __call__(self, *arguments: str) -> str:
        """Run a compose command; its output."""
        return run(*self.command, "--project-name", NAME, *arguments, env=self.environment)

    def up(self, *options: str) -> None:
        """Start what does not run, and wait until all of it is healthy."""
        self("up", "--detach", "--no-build", "--wait", *options)

    def service(self) -> Service:
        """The API through its published port, with the key that its log says."""
        found = re.search(r"Key: (\S+)$", self("logs", "--no-log-prefix", "api"), re.MULTILINE)
        if found is None:
            raise CheckError(f"expected a line with the key, received {self('logs', 'api')}")
        return Service(f"http://127.0.0.1:{self.environment['TRAINWATT_PORT']}", found[1])


@contextlib.contextmanager
def volume() -> Iterator[str]:
    """A new volume."""
    name = run("docker", "volume", "create").strip()
    try:
        yield name
    finally:
        done("docker", "volume", "rm", "--force", name)


@contextlib.contextmanager
def container(*options: str) -> Iterator[Container]:
    """A container that is ready, on a free port of this machine."""
    started_s = time.monotonic()
    publish = ("--publish", "127.0.0.1:0:8000")
    name = run("docker", "run", "--detach", *publish, *options, IMAGE).strip()[:12]
    try:
        made = Container(name, started_s)
        made.wait_ready()
        yield made
    finally:
        done("docker", "rm", "--force", "--volumes", name)


@contextlib.contextmanager
def stack() -> Iterator[Compose]:
    """The compose stack, taken away with its volumes at the end."""
    environment = {**os.environ, "TRAINWATT_IMAGE": IMAGE, "TRAINWATT_PORT": str(free_port())}
    compose = Compose(compose_command(), environment)
    try:
        yield compose
    except CheckError:
        say(compose("logs", "--tail", "30"))
        raise
    finally:
        compose("down", "--volumes")


def compose_command() -> tuple[str, ...]:
    """`docker compose`, or the older program of one word."""
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) and done(*command, "version").returncode == 0:
            return command
    raise CheckError("expected `docker compose` or `docker-compose` on the PATH, received neither")


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def finished(service: Service, spec: dict[str, Any]) -> dict[str, Any]:
    """Train; the job, which succeeded and has a report."""
    job = service.wait(service.submit(spec))
    expect(f"status of job {job['id']}", job["status"], "succeeded")
    expect_report(service, job["id"])
    return job


def expect_report(service: Service, job_id: str) -> dict[str, Any]:
    """The report of a job, which has energy in it."""
    report = service.get(f"/v1/jobs/{job_id}/report")
    expect("job of the report", report["job_id"], job_id)
    if not report["energy"]["total_j"]:
        raise CheckError(f"expected an energy above 0, received {report['energy']}")
    return report


def until(what: str, holds: Callable[[], bool]) -> None:
    """Ask again and again."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline_s:
            raise CheckError(f"expected within {PATIENCE_S} s: {what}")
        time.sleep(0.2)


def expect(what: str, received: object, expected: object) -> None:
    """Compare two values."""
    if received != expected:
        raise CheckError(f"{what}: expected {expected!r}, received {received!r}")


def run(*command: str, env: dict[str, str] | None = None) -> str:
    """The output of a command that must succeed."""
    ended = done(*command, env=env)
    if ended.returncode != 0:
        words = (ended.stderr or ended.stdout).strip()[-2000:]
        raise CheckError(f"`{shlex.join(command)}` ended with {ended.returncode}: {words}")
    return ended.stdout


def done(*command: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command in the project's folder to its end, whatever that is."""
    return subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=PROJECT, env=env
    )


def say(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
