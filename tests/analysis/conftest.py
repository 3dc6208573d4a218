"""Reports of runs with known joules, by sensors and by models, on hosts of one kind."""

from datetime import UTC, datetime

import pytest

from app.accounting.assumptions import SETS
from app.accounting.report import report
from app.domain.jobs import JobStatus
from app.domain.quantities import CarbonIntensity
from app.domain.readings import ComponentFacts, MeterFacts, Method, Phase, Reading, Readings
from app.domain.specs import JobSpec
from app.workloads import catalogue

MOMENT = datetime(2026, 11, 24, tzinfo=UTC)
ABSENT = ComponentFacts(method=Method.ABSENT)
MEASURED = ComponentFacts(method=Method.MEASURED, source="codecarbon intel_rapl")
MODELLED = ComponentFacts(method=Method.ESTIMATED, source="codecarbon cpu_load", tdp_w=65)
RAM = ComponentFacts(method=Method.ASSUMED, source="codecarbon, 20 W flat", constant_w=20.0)
PRICE = CarbonIntensity(
    g_per_kwh=None,
    source=None,
    year=None,
    country_iso_code=None,
    region=None,
    pue=1.0,
    reason="no_country",
)
SPEC = JobSpec(model_type="cnn")


@pytest.fixture
def make_run(make_host):
    """Makes the report of a run: so many seconds at so many watts of the CPU and such a load."""

    def make(
        duration_s,
        cpu_w,
        load=1.0,
        *,
        cpu=MODELLED,
        ram=RAM,
        host="box",
        name="j",
        under="codecarbon",
    ):
        readings = Readings(
            attempt=1,
            started_at=MOMENT,
            host=make_host(host).facts,
            meter=MeterFacts(cpu=cpu, gpu=ABSENT, ram=ram, codecarbon="3.3.2"),
            readings=tuple(
                Reading(
                    t_s=t_s,
                    cpu_j=cpu_w * t_s,
                    gpu_j=None,
                    ram_j=None if ram is ABSENT else 20 * t_s,
                    host_busy_s=2 * load * t_s,
                    begins=Phase.SETUP if t_s == 0 else None,
                )
                for t_s in (0.0, duration_s / 2, duration_s)
            ),
        )
        return report(
            readings,
            job_id=name,
            spec=SPEC,
            status=JobStatus.SUCCEEDED,
            work=catalogue.facts(SPEC),
            intensity=PRICE,
            assumptions=SETS[under],
        )

    return make
