"""The pages on a real database, and jobs in it whose readings were made by hand."""

from contextlib import asynccontextmanager

import httpx
import pytest

from app.accounting.report import report
from app.api.app import create_app
from app.domain.jobs import JobStatus, Progress, Stage
from app.domain.quantities import CarbonIntensity
from app.domain.readings import ComponentFacts, MeterFacts, Method, Phase, Reading, Readings
from app.domain.specs import JobSpec
from app.service import Service
from app.settings import Settings
from app.web.site import add_pages
from app.workloads import catalogue

METER = MeterFacts(
    cpu=ComponentFacts(
        method=Method.ASSUMED, source="codecarbon cpu_load", tdp_w=8.0, tdp_guessed=True
    ),
    gpu=ComponentFacts(method=Method.ABSENT),
    ram=ComponentFacts(method=Method.ASSUMED, source="codecarbon, 20 W flat", constant_w=20.0),
    codecarbon="3.3.2",
)
NO_COUNTRY = CarbonIntensity(
    g_per_kwh=None,
    source=None,
    year=None,
    country_iso_code=None,
    region=None,
    pue=1.0,
    reason="no_country",
)


def _reading(t_s, watts, **fields):
    return Reading(
        t_s=t_s, cpu_j=watts * t_s, gpu_j=None, ram_j=20 * t_s, host_busy_s=1.8 * t_s, **fields
    )


def run(watts, epochs, step_s=2.0):
    """A setup of a second, then an epoch and its validation in turn, the test set, the end."""
    readings, t_s = [_reading(0.0, watts, begins=Phase.SETUP)], 1.0
    ended = {}
    for n in range(epochs):
        readings.append(_reading(t_s, watts, begins=Phase.EPOCH, index=n, ended=ended))
        loss = 1 / (n + 1)
        ended = {"loss": loss, "train_accuracy": 0.8, "samples": 4000}
        t_s += step_s
        readings.append(_reading(t_s, watts, begins=Phase.VALIDATION, index=n, ended=ended))
        ended = {"validation_loss": loss, "validation_accuracy": 0.9}
        t_s += 0.5
    readings.append(_reading(t_s, watts, begins=Phase.EVALUATION, ended=ended))
    readings.append(
        _reading(
            t_s + 0.5, watts, begins=Phase.END, ended={"test_accuracy": 0.91, "test_loss": 0.3}
        )
    )
    return [*readings, _reading(t_s + 1.0, watts)]


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path, host_name="h1", max_queued_jobs=50)


@pytest.fixture
def pages_app(store, settings):
    """Makes the app; with a key, as it is off loopback."""

    def make(key=None):
        @asynccontextmanager
        async def open_service():
            yield Service(store, settings)

        app = create_app(open_service, key=key)
        add_pages(app)
        return app

    return make


@pytest.fixture
async def browser(pages_app):
    """A client that asks as a browser does, on loopback without a key."""
    app = pages_app()
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://localhost",
            headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"},
        ) as client:
            yield client


@pytest.fixture
def began(store, make_host):
    """Makes a job that runs, with these readings."""

    async def make(watts=8.0, taken=None, **fields):
        spec = JobSpec.model_validate({"model_type": "cnn", **fields})
        job = await store.submit(spec, max_queued=100)
        job = await store.claim(job.id, "h1")
        readings = Readings(
            attempt=1,
            started_at=job.started_at,
            host=make_host("h1").facts,
            meter=METER,
            readings=tuple(run(watts, spec.epochs) if taken is None else taken),
        )
        await store.begin_attempt(job.id, 1, readings)
        await store.append(
            job.id,
            1,
            (),
            stage=Stage.TRAINING,
            progress=Progress(epoch=1, epochs=spec.epochs, step=3, steps=10, eta_s=7.0),
        )
        return await store.get(job.id), readings

    return make


@pytest.fixture
def measured(store, began):
    """Makes a job that has ended, with the report of its readings."""

    async def make(watts=8.0, status=JobStatus.SUCCEEDED, **fields):
        job, readings = await began(watts, **fields)
        made = report(
            readings,
            job_id=job.id,
            spec=job.spec,
            status=status,
            work=catalogue.facts(job.spec),
            intensity=NO_COUNTRY,
        )
        await store.finish(job.id, 1, status=status, error=None, report=made, readings=readings)
        return await store.get(job.id)

    return make
