"""Prometheus: what is counted of requests, and the text that `/metrics` answers with."""

import platform
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    Metric,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import __version__

if TYPE_CHECKING:
    from app.storage.store import Figures

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"  # a method that HTTP does not know
NO_ROUTE = "none"  # a path that is none of ours, or a request that was refused before it was read
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The figures of one app; nothing is shared with another app of the same process."""

    def __init__(self) -> None:
        """Begin with none."""
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "trainwatt_http_requests",
            "Requests that were answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "trainwatt_http_request_duration_seconds",
            "Seconds until the answer to a request began.",
            ["method", "route"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        build = Info("trainwatt_build", "What runs here.", registry=self._registry)
        build.info({"version": __version__, "python": platform.python_version()})
        ProcessCollector(registry=self._registry)

    def count(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count a request whose answer begins."""
        series = self._series.get((method, route, status))
        if series is None:
            series = self._series[method, route, status] = (
                self._requests.labels(method, route, str(status)),
                self._seconds.labels(method, route),
            )
        requests, seconds = series
        requests.inc()
        seconds.observe(duration_s)

    def text(self, figures: "Figures") -> bytes:
        """All figures in Prometheus' text format, those of jobs and hosts as given."""
        shown = CollectorRegistry()
        shown.register(_Given([*_families(figures), *map(_lean, self._registry.collect())]))
        return generate_latest(shown)


class Metered:
    """ASGI middleware around all others: counts every request by the template of its route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Count into these metrics."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                method = scope["method"] if scope["method"] in METHODS else OTHER
                route = getattr(scope.get("route"), "path", NO_ROUTE)
                duration_s = time.perf_counter() - began_s
                self._metrics.count(method, route, message["status"], duration_s)
            await send(message)

        await self._app(scope, receive, counted)


class _Given(Collector):
    """Families that are there already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _lean(family: Metric) -> Metric:
    """Without the moments at which each series began: they double the text."""
    family.samples = [s for s in family.samples if not s.name.endswith("_created")]
    return family


def _families(figures: "Figures") -> list[Metric]:
    jobs = GaugeMetricFamily(
        "trainwatt_jobs", "Jobs that are not final, by status.", labels=["status"]
    )
    for status, count in figures.unfinished.items():
        jobs.add_metric([status], count)
    finished = CounterMetricFamily(
        "trainwatt_jobs_finished", "Jobs that are final, by status.", labels=["status"]
    )
    energy = CounterMetricFamily(
        "trainwatt_energy_joules",
        "Energy that all attempts of final jobs used, by the job's status.",
        labels=["status"],
    )
    for status, ended in figures.finished.items():
        finished.add_metric([status], ended.jobs)
        energy.add_metric([status], ended.energy_j)
    return [jobs, finished, energy, *_host_families(figures)]


def _host_families(figures: "Figures") -> list[Metric]:
    silence = GaugeMetricFamily(
        "trainwatt_host_silence_seconds",
        "Seconds since a host's worker was last heard.",
        labels=["host"],
    )
    ready = GaugeMetricFamily(
        "trainwatt_host_ready",
        "Whether a host's first training process is warm: 1 or 0.",
        labels=["host"],
    )
    running = GaugeMetricFamily(
        "trainwatt_host_running", "Whether a host runs a job: 1 or 0.", labels=["host"]
    )
    for name, host in figures.hosts.items():
        silence.add_metric([name], host.silence_s)
        ready.add_metric([name], host.ready)
        running.add_metric([name], host.running)
    return [silence, ready, running]
