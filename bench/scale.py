"""Lists, filters, sorts, a page deep inside, jobs and reports, at 1,000 and at 1,000,000 jobs."""

import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import httpx

from bench.history import fill, job_id
from bench.record import spread
from bench.served import databases, served

FEW, MANY = 1_000, 1_000_000
ROUNDS = 40
WARM_UP = 12  # rounds that are not counted: pools fill, statements are prepared
ROWS = 20  # of a page: so many match every filter at both sizes
FILTERS = {
    "status": "status=cancelled",
    "model type": "model_type=attention",
    "host": "host=host-3",
    "common tag": "tag=team:team-3",
    "rare tag": "tag=experiment:e5",
}
SORTS = ("finished_at", "energy_total_j", "co2e_g", "test_accuracy", "j_per_sample")


@dataclass(frozen=True)
class Side:
    """One service on one database, and the paths that are asked of it by name, one a round."""

    http: httpx.Client
    paths: dict[str, Iterator[str]]

    def ask(self, name: str) -> float:
        """Seconds that a client waits for the whole answer."""
        path = next(self.paths[name])
        began_s = time.perf_counter()
        self.http.get(path).raise_for_status()
        return time.perf_counter() - began_s


def run() -> dict[str, object]:
    """Both sizes in turn, A B A B, operation by operation; the ratio of the medians."""
    with ExitStack() as stack:
        urls = stack.enter_context(databases("few", "many"))
        sides = []
        for url, jobs in zip(urls, (FEW, MANY), strict=True):
            fill(url, jobs)
            sides.append(_side(stack, url, jobs))
        few, many = sides
        compared = {name: _compare(few, many, name) for name in few.paths}
    largest = max(compared, key=lambda name: compared[name][0])
    return {
        "what": f"milliseconds over HTTP at {FEW:,} and at {MANY:,} finished jobs, {ROWS} a page",
        "goal_ratio": 1.5,
        "largest_ratio": float(f"{compared[largest][0]:.3g}"),
        "largest_ratio_of": largest,
        "operations": {name: figures for name, (_, figures) in compared.items()},
    }


def _side(stack: ExitStack, database_url: str, jobs: int) -> Side:
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    url = stack.enter_context(
        served("app.main:app", TRAINWATT_DATABASE_URL=database_url, TRAINWATT_DATA_DIR=folder)
    )
    http = stack.enter_context(httpx.Client(base_url=url, trust_env=False, timeout=60))
    return Side(http, _paths(http, jobs))


def _paths(http: httpx.Client, jobs: int) -> dict[str, Iterator[str]]:
    found = {name: itertools.repeat(path) for name, path in _lists(http, jobs).items()}
    return found | {"a job": one_a_round(jobs), "a report": one_a_round(jobs, "/report")}


def one_a_round(jobs: int, what: str = "") -> Iterator[str]:
    """Another job each round, from the whole history: the service keeps reports in memory."""
    rounds = WARM_UP + ROUNDS
    return (f"/v1/jobs/{job_id(1 + n * jobs // rounds)}{what}" for n in range(rounds))


def _lists(http: httpx.Client, jobs: int) -> dict[str, str]:
    paths = {"list jobs": f"/v1/jobs?limit={ROWS}", "list reports": f"/v1/reports?limit={ROWS}"}
    for name, query in FILTERS.items():
        paths[f"jobs by {name}"] = f"/v1/jobs?limit={ROWS}&{query}"
        paths[f"reports by {name}"] = f"/v1/reports?limit={ROWS}&{query}"
    for name in SORTS:
        for sort in (name, f"-{name}"):
            paths[f"reports, sort={sort}"] = f"/v1/reports?limit={ROWS}&sort={sort}"
    host = FILTERS["host"]
    paths["reports by host, sort=-co2e_g"] = f"/v1/reports?limit={ROWS}&{host}&sort=-co2e_g"
    for name in ("-finished_at", "energy_total_j"):
        inside = _deep(http, name, min(jobs // 2, 50_000))
        paths[f"a page deep inside, sort={name}"] = f"{inside}&limit={ROWS}"
    paths["metrics"] = "/metrics"
    return paths


def _deep(http: httpx.Client, sort: str, rows: int) -> str:
    """Where the page behind so many rows begins, as a user gets there."""
    path, page_rows = f"/v1/reports?sort={sort}", min(rows, 10_000)
    here, passed = path, 0
    while passed < rows:
        page = http.get(f"{here}&limit={page_rows}").raise_for_status().json()
        passed += len(page["items"])
        here = f"{path}&cursor={page['next_cursor']}"
    return here


def _compare(few: Side, many: Side, name: str) -> tuple[float, dict[str, object]]:
    for _ in range(WARM_UP):
        few.ask(name)
        many.ask(name)
    pairs = [(few.ask(name), many.ask(name)) for _ in range(ROUNDS)]
    few_s, many_s = zip(*pairs, strict=True)
    ratio = statistics.median(many_s) / statistics.median(few_s)
    return ratio, {
        "ratio": float(f"{ratio:.3g}"),
        "few_ms": spread(_ms(few_s)),
        "many_ms": spread(_ms(many_s)),
    }


def _ms(values_s: Sequence[float]) -> list[float]:
    return [1000 * value for value in values_s]
