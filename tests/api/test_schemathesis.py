"""Every answer to generated requests is a documented one, and none is a fault of ours."""

import base64
import io
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app import reference
from app.accounting.report import report
from app.api.app import create_app
from app.domain.jobs import JobStatus
from app.domain.readings import ComponentFacts, MeterFacts, Method, Phase, Reading, Readings
from app.domain.specs import JobSpec
from app.service import Service
from app.settings import Settings
from app.storage.store import Store
from app.workloads import catalogue

HERE = Path(__file__).parent
BUDGET_S = 150  # for generated requests; the examples and the edges of each field come on top
LIMIT_S = 500
KEY = "a-key-for-this-test"
BEARER = {"Authorization": f"Bearer {KEY}"}


MOMENT = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
METER = MeterFacts(
    cpu=ComponentFacts(method=Method.ESTIMATED, source="codecarbon cpu_load", tdp_w=8),
    gpu=ComponentFacts(method=Method.ABSENT),
    ram=ComponentFacts(method=Method.ASSUMED, source="codecarbon, 20 W flat", constant_w=20),
    codecarbon="3.3.2",
)


@pytest.fixture
async def jobs(store, make_host):
    """Of each kind of job one: with a report and readings, without readings, waiting."""
    spec = JobSpec.model_validate({"model_type": "cnn", "tags": {"team": "vision"}})
    ended, cancelled, waiting = [await store.submit(spec, max_queued=9) for _ in range(3)]
    await _end(store, ended.id, make_host().facts)
    await Service(store, Settings()).cancel(cancelled.id)
    return [ended.id, cancelled.id, waiting.id]


async def _end(store, job_id, host):
    job = await store.claim(job_id, host.name)
    begins = {0: Phase.SETUP, 2: Phase.EPOCH, 5: Phase.VALIDATION, 6: Phase.EVALUATION}
    taken = [
        Reading(t_s=t, cpu_j=8.0 * t, gpu_j=None, ram_j=20.0 * t, begins=begins.get(t))
        for t in range(8)
    ]
    readings = Readings(attempt=1, started_at=MOMENT, host=host, meter=METER, readings=taken)
    await store.begin_attempt(job_id, 1, readings)
    ended = report(
        readings,
        job_id=job_id,
        spec=job.spec,
        status=JobStatus.SUCCEEDED,
        work=catalogue.facts(job.spec),
        intensity=reference.intensity(job.spec.carbon, default_country="FRA", default_region=None),
    )
    await store.finish(
        job_id, 1, status=JobStatus.SUCCEEDED, error=None, report=ended, readings=readings
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_whole_description(jobs, database_url, serving, tmp_path, make_posted):
    @asynccontextmanager
    async def open_service():
        store = await Store.open(database_url)
        try:
            yield Service(store, Settings(data_dir=tmp_path))
        finally:
            await store.close()

    with serving(create_app(open_service, key=KEY)) as url:
        ended = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                f"--config-file={HERE / 'schemathesis.toml'}",
                "run",
                f"{url}/openapi.json",
                "--checks=all",
                f"--header=Authorization: Bearer {KEY}",
                f"--max-time={BUDGET_S}",
                f"--seed={os.environ.get('TRAINWATT_SCHEMATHESIS_SEED', '5')}",
                "--request-timeout=20",
                "--suppress-health-check=all",
                "--generation-database=none",
                "--no-color",
            ],
            cwd=tmp_path,
            env=os.environ
            | {
                "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
                "PYTHONPATH": str(HERE),
                "TRAINWATT_TEST_URL": url,
                "TRAINWATT_TEST_KEY": KEY,
                "TRAINWATT_TEST_JOBS": json.dumps(jobs),
                "TRAINWATT_TEST_REPORT": make_posted().model_dump_json(),
                "TRAINWATT_TEST_NPZ": base64.b64encode(_npz()).decode(),
            },
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        documented, served = _documented(url), _served(url)
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr[-2_000:]
    assert "Test cases" in ended.stdout
    assert documented == served & documented  # of every operation there was an answer to look at


def _npz():
    file = io.BytesIO()
    np.savez_compressed(file, x_train=np.zeros((40, 3), np.uint8), y_train=np.arange(40) % 2)
    return file.getvalue()


def _documented(url):
    paths = httpx.get(f"{url}/openapi.json", headers=BEARER).json()["paths"]
    return {(verb.upper(), path) for path, operations in paths.items() for verb in operations}


def _served(url):
    """The operations that were answered with success."""
    metrics = httpx.get(f"{url}/metrics", headers=BEARER).text
    return {
        (sample.labels["method"], sample.labels["route"])
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == "trainwatt_http_requests_total" and sample.labels["status"] < "3"
    }
