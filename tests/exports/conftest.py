"""Reports of runs whose readings were made by hand: by sensors, by models, and of none."""

from datetime import UTC, datetime

import pytest

from app.accounting.report import empty_report, report
from app.domain.jobs import JobStatus
from app.domain.quantities import CarbonIntensity
from app.domain.readings import ComponentFacts, MeterFacts, Method, Phase, Reading, Readings
from app.domain.specs import JobSpec
from app.workloads import catalogue

MOMENT = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
ABSENT = ComponentFacts(method=Method.ABSENT)
MEASURED = ComponentFacts(method=Method.MEASURED, source="codecarbon intel_rapl")
MODELLED = ComponentFacts(method=Method.ESTIMATED, source="codecarbon cpu_load", tdp_w=65)
RAM = ComponentFacts(method=Method.ASSUMED, source="codecarbon, 20 W flat", constant_w=20.0)
FRANCE = CarbonIntensity(
    g_per_kwh=56.04,
    source="codecarbon global_energy_mix",
    year=2023,
    country_iso_code="FRA",
    region=None,
    pue=1.5,
    reason=None,
)
NOWHERE = FRANCE.model_copy(
    update={
        "g_per_kwh": None,
        "source": None,
        "year": None,
        "country_iso_code": None,
        "reason": "no_country",
    }
)
TAKEN = (
    (0.0, {"begins": Phase.SETUP}),
    (2.0, {"begins": Phase.EPOCH, "index": 0}),
    (
        6.0,
        {
            "begins": Phase.VALIDATION,
            "index": 0,
            "ended": {"samples": 4000, "loss": 0.5, "train_accuracy": 0.8},
        },
    ),
    (7.0, {"begins": Phase.EVALUATION, "ended": {"validation_accuracy": 0.9}}),
    (9.0, {"begins": Phase.END, "ended": {"test_accuracy": 0.91, "test_loss": 0.3}}),
    (10.0, {}),
)


@pytest.fixture
def make_report(make_host):
    """Makes one: 10 s at 10 W by the CPU's counter, 20 W by the RAM's size."""

    def make(*, cpu=MODELLED, ram=RAM, price=FRANCE, **fields):
        spec = JobSpec.model_validate({"model_type": "cnn", "epochs": 1, **fields})
        readings = Readings(
            attempt=1,
            started_at=MOMENT,
            host=make_host("box").facts,
            meter=MeterFacts(cpu=cpu, gpu=ABSENT, ram=ram, codecarbon="3.3.2"),
            readings=tuple(
                Reading(t_s=t_s, cpu_j=10 * t_s, gpu_j=None, ram_j=20 * t_s, **more)
                for t_s, more in TAKEN
            ),
        )
        return report(
            readings,
            job_id="job-1",
            spec=spec,
            status=JobStatus.SUCCEEDED,
            work=catalogue.facts(spec),
            intensity=price,
        )

    return make


@pytest.fixture
def never_ran():
    """The report of a job that was cancelled in the queue."""
    spec = JobSpec(model_type="cnn")
    return empty_report(
        job_id="job-2",
        spec=spec,
        status=JobStatus.CANCELLED,
        work=catalogue.facts(spec),
        intensity=NOWHERE,
        finished_at=MOMENT,
    )
