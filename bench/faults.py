"""Kills at moments spread over a job's life, on a real service: nothing lost, double or orphaned.

`python -m bench.faults --trials 300 --seed 7 --journal FILE` goes on where the journal ends.
"""

import argparse
import contextlib
import json
import random
import secrets
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from bench.record import write
from bench.service import Service, service

LEASE_S = 10.0  # half of it is the patience with a database that starts again
SETTINGS = {
    "TRAINWATT_LEASE_S": str(LEASE_S),
    "TRAINWATT_HEARTBEAT_S": "0.5",
    "TRAINWATT_SWEEP_INTERVAL_S": "0.5",
}
SPEC = {"model_type": "cnn", "size": "tiny", "epochs": 25, "dataset": {"name": "digits"}}
CALIBRATION_JOBS = 3
FINAL_S = 120.0  # in which a job is final whatever was hit; nothing here is judged by time
POLL_S = 0.05
FINAL = {"succeeded", "failed"}
EARLIER = 0.9

TARGETS = ("API", "worker", "child", "fork server", "database", "pause")
UNHARMED = {"API", "database", "pause"}  # the attempt goes on
ERRORS = {"killed", "lost", "start_failed"}  # of a job whose child or fork server was killed
GONE_S = 5.0  # a killed process and those below it are gone in milliseconds, by death signals

# Each finds what must not be there once every job is final.
LEFT = {
    "jobs that are not final": "SELECT id FROM jobs WHERE finished_at IS NULL",
    "jobs without a report": "SELECT id FROM jobs EXCEPT SELECT job_id FROM reports",
    "attempts that never ended": "SELECT job_id FROM attempts WHERE ended IS NULL",
    "jobs with two results": (
        "SELECT job_id FROM attempts WHERE ended NOT IN ('lost', 'stopped') "
        "GROUP BY job_id HAVING count(*) > 1"
    ),
    "jobs that were counted twice": (
        "SELECT status FROM totals JOIN (SELECT status, count(*) AS n FROM jobs GROUP BY status) "
        "AS there USING (status) WHERE totals.jobs <> n"
    ),
    "tasks in the queue": "SELECT id FROM procrastinate_jobs WHERE status IN ('todo', 'doing')",
    "readings of no running attempt": "SELECT DISTINCT job_id FROM live_readings",
}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One fault: what was hit, when in the job's life (0 to 1) and in which stage, and the end."""

    number: int
    target: str
    moment: float
    stage: str
    job_id: str
    status: str
    error: str | None
    attempts: int
    wrong: list[str]
    hit: bool


class Site:
    """A service under fire, its processes and its database."""

    def __init__(self, running: Service) -> None:
        """Look the database up while everything lives."""
        self.running = running
        self.database_url: str = self._part("app.worker").environ()["TRAINWATT_DATABASE_URL"]

    def _part(self, word: str) -> psutil.Process:
        return next(p for p in self.running.supervisor.children() if word in p.cmdline())

    def victim(self, target: str) -> psutil.Process | None:
        """The process that is hit; null where there is none at this moment."""
        with contextlib.suppress(StopIteration, psutil.Error):
            if target == "API":
                return self._part("api")
            if target == "database":
                return next(c for c in self.running.supervisor.children() if "postgres" in c.name())
            worker = self._part("app.worker")
            if target in {"worker", "pause"}:
                return worker
            fork_server = next(c for c in worker.children() if "forkserver" in str(c.cmdline()))
            return fork_server if target == "fork server" else next(iter(fork_server.children()))
        return None

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What the database answers, however often it has to be asked."""
        for _ in patiently():
            with (
                contextlib.suppress(psycopg.OperationalError),
                psycopg.connect(self.database_url, autocommit=True) as connection,
            ):
                return connection.execute(statement.encode(), parameters).fetchall()
        raise AssertionError("unreachable")

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """What the API answers, however often it has to be asked."""
        for _ in patiently():
            with contextlib.suppress(httpx.TransportError):
                answer = self.running.http.request(method, path, **more)
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    return answer
        raise AssertionError("unreachable")

    def until_ready(self) -> None:
        """Wait for API, database and worker."""
        self.ask("GET", "/readyz").raise_for_status()

    def submit(self, number: int) -> str:
        """Submit a job once, also where the API dies over it: the key tells."""
        headers = {"Idempotency-Key": secrets.token_hex(8)}
        body = SPEC | {"tags": {"trial": str(number)}}
        answer = self.ask("POST", "/v1/jobs", json=body, headers=headers)
        return str(answer.raise_for_status().json()["id"])

    def stage(self, job_id: str) -> str:
        """The stage of a running job, or the status of another."""
        ((status, stage),) = self.rows("SELECT status, stage FROM jobs WHERE id = %s", job_id)
        return str(stage or status)

    def until_final(self, job_id: str) -> dict[str, Any]:
        """The job once it is final."""
        for _ in patiently():
            job: dict[str, Any] = self.ask("GET", f"/v1/jobs/{job_id}").raise_for_status().json()
            if job["finished_at"]:
                return job
        raise AssertionError("unreachable")

    def strays(self) -> list[str]:
        """Processes of this service that its supervisor does not have, and idle children."""
        family = {p.pid for p in self.running.supervisor.children(recursive=True)}
        family |= {self.running.supervisor.pid}
        strays = [f"{p.pid} {p.name()}" for p in psutil.process_iter() if self._ours(p, family)]
        child = self.victim("child")
        return strays + ([f"{child.pid} of no job"] if child else [])

    def _ours(self, process: psutil.Process, family: set[int]) -> bool:
        with contextlib.suppress(psutil.Error):
            if process.pid in family or process.status() == psutil.STATUS_ZOMBIE:
                return False
            folder = str(self.running.data_dir)
            home = process.environ().get("TRAINWATT_DATA_DIR")
            return folder == home or process.cwd().startswith(f"{folder}/")
        return False


def patiently(limit_s: float = FINAL_S) -> Iterator[None]:
    """Tries, a moment apart.

    Raises:
        TimeoutError: so many seconds have not been enough.
    """
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        yield
        time.sleep(POLL_S)
    raise TimeoutError(f"expected an answer within {limit_s:g} s, received none")


def campaign(
    trials: int,
    seed: int,
    done: Sequence[Trial] = (),
    told: Callable[[Trial], None] = lambda _: None,
) -> dict[str, object]:
    """Hit a service of its own `trials` times; the figures, and in `wrong` all that does not hold.

    Args:
        trials: faults in all.
        seed: of targets and moments.
        done: trials of an earlier run with this seed, which are counted and not run again.
        told: hears of each trial as it ends.
    """
    with service(**SETTINGS) as running:
        site = Site(running)
        life_s = statistics.median(_life_s(site, -n) for n in range(1, CALIBRATION_JOBS + 1))
        results = [*done]
        for number, target, moment in plan(trials, seed)[len(done) :]:
            one = trial(site, number, target, moment, life_s)
            while not one.hit and not one.wrong:  # the job had ended: no fault is void
                one = trial(site, number, target, EARLIER * one.moment, life_s)
            results.append(one)
            told(one)
        wrong = _at_the_end(site, results[len(done) :])
    wrong += [f"trial {t.number} ({t.target}): {what}" for t in results for what in t.wrong]
    return _figures(results, seed, life_s, wrong)


def plan(trials: int, seed: int) -> list[tuple[int, str, float]]:
    """Number, target and moment of each trial: targets in turn, moments spread evenly for each."""
    chance = random.Random(seed)  # noqa: S311 -- no secret
    planned: list[tuple[str, float]] = []
    for turn, target in enumerate(TARGETS):
        count = len(range(turn, trials, len(TARGETS)))
        planned += [(target, (n + chance.random()) / count) for n in range(count)]
    chance.shuffle(planned)
    return [(number, target, moment) for number, (target, moment) in enumerate(planned)]


def _life_s(site: Site, number: int) -> float:
    """How long a job lives that nothing happens to."""
    site.until_ready()
    began_s = time.monotonic()
    site.until_final(site.submit(number))
    return time.monotonic() - began_s


def trial(site: Site, number: int, target: str, moment: float, life_s: float) -> Trial:
    """Submit a job, hit the target at this moment of its life, and see how everything ends."""
    site.until_ready()
    began_s = time.monotonic()
    job_id = site.submit(number)
    time.sleep(max(0.0, began_s + moment * life_s - time.monotonic()))
    stage, killed = _hit(site, target, job_id)
    alive = _still(lambda: [f"{p.pid}, below what was killed" for p in killed if _lives(p)])
    job = site.until_final(job_id)
    return Trial(
        number=number,
        target=target,
        moment=round(moment, 4),
        stage=stage,
        job_id=job_id,
        status=job["status"],
        error=job["error"] and job["error"]["code"],
        attempts=job["attempt"],
        wrong=alive + _wrong(site, target, job),
        hit=stage not in FINAL,
    )


def _lives(process: psutil.Process) -> bool:
    """Whether it still does something: one that nobody has waited for yet does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _hit(site: Site, target: str, job_id: str) -> tuple[str, list[psutil.Process]]:
    """Hit it, where the job is not final: the stage that it was in, and who must be gone now."""
    for _ in patiently():
        victim, stage = site.victim(target), site.stage(job_id)
        if stage in FINAL:
            return stage, []
        with contextlib.suppress(psutil.NoSuchProcess):
            if victim is not None and target == "pause":
                victim.suspend()
                time.sleep(LEASE_S + 1)
                victim.resume()
                return stage, []
            if victim is not None:
                family = [victim, *victim.children(recursive=True)]
                victim.send_signal(signal.SIGKILL)
                return stage, family
    raise AssertionError("unreachable")


def _wrong(site: Site, target: str, job: dict[str, Any]) -> list[str]:
    """What must not be, after one fault."""
    error = job["error"] and job["error"]["code"]
    report = site.ask("GET", f"/v1/jobs/{job['id']}/report")
    wrong = []
    ended = job["status"] == "succeeded" or (job["status"] == "failed" and error in ERRORS)
    expected = {
        "worker": job["status"] == "succeeded" and job["attempt"] <= 2,
        "child": ended and job["attempt"] == 1,
        "fork server": ended and job["attempt"] == 1,
    } | dict.fromkeys(UNHARMED, job["status"] == "succeeded" and job["attempt"] == 1)
    if not expected[target]:
        how = f"{job['error']}; its attempts: {report.json().get('attempts')}"
        wrong.append(f"the job {job['status']} in attempt {job['attempt']}: {how}")
    if report.status_code != httpx.codes.OK or report.json()["status"] != job["status"]:
        wrong.append(f"its report: {report.status_code} {report.text[:100]}")
    elif len(report.json()["attempts"]) != job["attempt"]:
        wrong.append(f"{job['attempt']} attempts, in the report {report.json()['attempts']}")
    site.until_ready()
    return wrong + _still(site.strays)


def _still(look: Callable[[], list[str]]) -> list[str]:
    """What is there now and stays: an end takes a moment."""
    with contextlib.suppress(TimeoutError):
        for _ in patiently(GONE_S):
            if not (found := look()):
                return []
    return [f"left over: {each}" for each in found]


def _at_the_end(site: Site, results: Sequence[Trial]) -> list[str]:
    """What must not be, once every job is final; and that the queue goes on."""
    site.until_ready()
    last = site.until_final(site.submit(len(results) + 1_000_000))
    wrong = [] if last["status"] == "succeeded" else [f"a job after all faults {last['status']}"]
    for what, statement in LEFT.items():
        if rows := site.rows(statement):
            wrong.append(f"{what}: {rows[:5]}")
    for one in results:
        ((status, attempts),) = site.rows(
            "SELECT status, attempt FROM jobs WHERE id = %s", one.job_id
        )
        if (status, attempts) != (one.status, one.attempts):
            wrong.append(f"trial {one.number}: {one.status} became {status} after it was final")
    return wrong


def _figures(
    results: Sequence[Trial], seed: int, life_s: float, wrong: list[str]
) -> dict[str, object]:
    by_target = {
        target: dict(Counter(t.stage for t in results if t.target == target)) for target in TARGETS
    }
    return {
        "what": "faults at moments spread over the life of a job (tiny CNN on digits), by stage",
        "seed": seed,
        "trials": len(results),
        "life_of_a_job_s": round(life_s, 2),
        "by_stage": dict(Counter(t.stage for t in results)),
        "by_target": by_target,
        "ended": dict(Counter(t.status + (f" ({t.error})" if t.error else "") for t in results)),
        "attempts": dict(Counter(t.attempts for t in results)),
        "wrong": wrong,
    }


def main() -> None:
    """Run a campaign, or the rest of one, and record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300, help="of a new journal")
    parser.add_argument("--seed", type=int, help="of a new journal; default: a random one")
    parser.add_argument("--journal", type=Path, default=Path("faults.jsonl"))
    given = parser.parse_args()
    if not given.journal.exists():
        seed = secrets.randbelow(10**6) if given.seed is None else given.seed
        given.journal.write_text(json.dumps({"seed": seed, "trials": given.trials}) + "\n")
    trials, seed, done = _read(given.journal)
    print(f"seed {seed}: {len(done)} of {trials} trials are in {given.journal}", flush=True)

    def told(one: Trial) -> None:
        with given.journal.open("a") as journal:
            journal.write(json.dumps(asdict(one)) + "\n")
        print(one, flush=True)

    figures = campaign(trials, seed, done, told)
    print(write("faults", figures).read_text())
    raise SystemExit(1 if figures["wrong"] else 0)


def _read(journal: Path) -> tuple[int, int, list[Trial]]:
    """How many trials a journal is for, its seed, and those that it has."""
    head, *lines = map(json.loads, journal.read_text().splitlines())
    return head["trials"], head["seed"], [Trial(**line) for line in lines]


if __name__ == "__main__":
    main()
