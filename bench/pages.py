"""Every web page with 10,000 finished jobs: how long a client on this host waits for it."""

import tempfile
import time
from collections.abc import Iterator
from itertools import repeat

import httpx

from bench.history import fill, job_id
from bench.record import spread
from bench.served import databases, served

JOBS = 10_000
ROUNDS = 40
WARM_UP = 10  # rounds that are not counted: pools fill, statements are prepared, templates compile
GOAL_MS = 100


def run() -> dict[str, object]:
    """Each page in turn, round by round, another job each time; reports are those of a minute."""
    with databases("history") as [database_url], tempfile.TemporaryDirectory() as folder:
        fill(database_url, JOBS, whole=True)
        settings = {"TRAINWATT_DATABASE_URL": database_url, "TRAINWATT_DATA_DIR": folder}
        with (
            served("app.main:app", path="/healthz", **settings) as url,
            httpx.Client(base_url=url, trust_env=False, timeout=60) as http,
        ):
            pages = _pages()
            for _ in range(WARM_UP):
                for path in pages.values():
                    _ask(http, next(path))
            taken: dict[str, list[float]] = {name: [] for name in pages}
            for _ in range(ROUNDS):
                for name, path in pages.items():
                    taken[name].append(1000 * _ask(http, next(path)))
    figures = {name: spread(values) for name, values in taken.items()}
    slowest = max(figures, key=lambda name: figures[name]["median"])
    return {
        "what": f"milliseconds over HTTP for each page at {JOBS:,} finished jobs",
        "goal_ms": GOAL_MS,
        "slowest": slowest,
        "pages": figures,
    }


def _pages() -> dict[str, Iterator[str]]:
    """A path for each round, by page; jobs without figures are not asked for."""
    step = JOBS // (WARM_UP + ROUNDS + 1)
    ids = [job_id(1 + n * step) for n in range(WARM_UP + ROUNDS + 1)]
    pairs = zip(ids, ids[1:], strict=False)
    return {
        "overview": repeat("/"),
        "submit": repeat("/submit"),
        "jobs": repeat("/jobs"),
        "jobs of a host": repeat("/jobs?host=host-3"),
        "jobs by energy": repeat("/jobs?sort=-energy_total_j"),
        "a job": (f"/jobs/{one}" for one in ids),
        "two jobs compared": (f"/compare?job={one}&job={two}" for one, two in pairs),
        "hosts": repeat("/hosts"),
    }


def _ask(http: httpx.Client, path: str) -> float:
    """Seconds for the whole page."""
    began_s = time.perf_counter()
    http.get(path).raise_for_status()
    return time.perf_counter() - began_s
