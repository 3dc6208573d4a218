"""What Prometheus gets, read by its own parser."""

import json
import re
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app import __version__
from app.api.app import create_app
from app.domain.errors import UnavailableError
from app.storage.totals import Figures, FinishedFigures, HostFigures

FIGURES = Figures(
    unfinished={"queued": 3, "running": 1},
    finished={"succeeded": FinishedFigures(jobs=2, energy_j=12.5)},
    hosts={'a"\\\n': HostFigures(silence_s=1.5, ready=True, running=False)},
)


@pytest.fixture(autouse=True)
def figures(memory, monkeypatch):
    async def figures():
        memory._may_fail()
        return FIGURES

    monkeypatch.setattr(memory, "figures", figures, raising=False)


async def _samples(client):
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(answer.text))
    assert all(family.documentation for family in families)
    assert all(family.type != "unknown" for family in families)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def _requests(samples):
    return {
        tuple(value for _, value in labels): count
        for (name, *labels), count in samples.items()
        if name == "trainwatt_http_requests_total"
    }


async def test_jobs_joules_and_hosts(client):
    samples = await _samples(client)
    assert samples["trainwatt_jobs", ("status", "queued")] == 3
    assert samples["trainwatt_jobs", ("status", "running")] == 1
    assert samples["trainwatt_jobs_finished_total", ("status", "succeeded")] == 2
    assert samples["trainwatt_energy_joules_total", ("status", "succeeded")] == 12.5
    host = ("host", 'a"\\\n')
    assert samples["trainwatt_host_silence_seconds", host] == 1.5
    assert samples["trainwatt_host_ready", host] == 1
    assert samples["trainwatt_host_running", host] == 0


async def test_requests_are_counted_by_the_template_of_their_route(client):
    for path in ("a", "b", "c"):
        await client.get(f"/v1/jobs/{path}")
    await client.get("/healthz")
    counted = _requests(await _samples(client))
    assert counted == {
        ("GET", "/v1/jobs/{job_id}", "404"): 3,
        ("GET", "/healthz", "200"): 1,
    }
    samples = await _samples(client)
    labels = (("method", "GET"), ("route", "/v1/jobs/{job_id}"))
    assert samples["trainwatt_http_request_duration_seconds_count", *labels] == 3


async def test_what_is_unknown_makes_no_series_of_its_own(client):
    for n in range(5):
        await client.get(f"/nothing/{n}")
        await client.request(f"M{n}", "/healthz")
        await client.get("/healthz", headers={"Host": f"evil-{n}.example"})
    assert _requests(await _samples(client)) == {
        ("GET", "none", "404"): 5,
        ("other", "/healthz", "405"): 5,
        ("GET", "none", "400"): 5,
    }


async def test_faults_are_counted(client, memory):
    memory.fails = ValueError("secret")
    assert (await client.get("/v1/jobs/j")).status_code == 500
    memory.fails = None
    assert _requests(await _samples(client)) == {("GET", "/v1/jobs/{job_id}", "500"): 1}


async def test_the_process_and_what_runs_in_it(client):
    samples = await _samples(client)
    assert samples["process_start_time_seconds",] > 0
    [build] = [labels for name, *labels in samples if name == "trainwatt_build_info"]
    assert ("version", __version__) in build
    assert not [name for name, *_ in samples if name.endswith("_created")]


async def test_a_database_that_is_away_is_503(client, memory):
    memory.fails = UnavailableError("The database does not answer.")
    answer = await client.get("/metrics")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"


async def test_two_apps_of_a_process_count_apart(client, app):
    await client.get("/healthz")
    other = create_app(None, key="secret-key")
    assert other.state.metrics is not app.state.metrics
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(other), base_url="http://localhost"
    ) as apart:
        assert (await apart.get("/metrics")).status_code == 401  # a key, as everywhere
    assert b"/healthz" not in other.state.metrics.text(FIGURES)


DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana" / "trainwatt.json"


async def test_the_dashboard_asks_for_metrics_and_labels_that_there_are(client):
    await client.get("/healthz")
    samples = await _samples(client)
    labels = {name: {label for label, _ in pairs} for name, *pairs in samples}
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for target in (target for panel in panels for target in panel["targets"]):
        (name,) = re.findall(r"trainwatt_\w+", target["expr"])
        assert name in labels, target["expr"]
        wanted = re.findall(r"by \((\w+)\)|{{(\w+)}}", target["expr"] + target["legendFormat"])
        assert {one or other for one, other in wanted} <= labels[name], target
