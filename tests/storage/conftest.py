"""Small values by hand: a spec, readings, a report, a host."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from app.domain.hosts import Host
from app.domain.jobs import Job, JobStatus
from app.domain.readings import (
    ComponentFacts,
    HostFacts,
    MeterFacts,
    Method,
    Phase,
    Reading,
    Readings,
)
from app.domain.reports import (
    Assumptions,
    Baseline,
    Component,
    Efficiency,
    Emissions,
    Energy,
    EnergyReport,
    PowerSeries,
    Quality,
    StockCodecarbon,
    Trust,
    Wall,
    Work,
)
from app.domain.specs import JobSpec

MOMENT = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
ABSENT = ComponentFacts(method=Method.ABSENT)
METER = MeterFacts(
    cpu=ComponentFacts(method=Method.ASSUMED, source="codecarbon cpu_load", tdp_w=0.1),
    gpu=ABSENT,
    ram=ComponentFacts(method=Method.ASSUMED, constant_w=20),
    codecarbon="3.3.2",
)
HOST = HostFacts(
    name="box",
    boot_id=None,
    os="Linux",
    python="3.11",
    cpu_vendor=None,
    cpu_model="Größe ☃",
    cpu_family=None,
    cpu_model_number=None,
    logical_cpus=2,
    host_cpus=2,
    memory_gib=24,
)


def spec(**fields: object) -> JobSpec:
    return JobSpec.model_validate({"model_type": "cnn", **fields})


def reading(t_s: float, **fields: object) -> Reading:
    return Reading(t_s=t_s, cpu_j=t_s / 3, gpu_j=None, ram_j=1e22 + t_s, **fields)  # type: ignore[arg-type]


def readings(attempt: int = 1, *taken: Reading) -> Readings:
    return Readings(attempt=attempt, started_at=MOMENT, host=HOST, meter=METER, readings=taken)


def odd_readings(count: int = 40) -> list[Reading]:
    """What a store that rewrites JSON would change: key order, 1.0, 1e22, -0.0, snowmen, NUL."""
    facts = {"z": 1.0, "a": 1, "b": 1e22, "minus": -0.0, "text": '☃ \\ \0 "', "deep": [1e-7, None]}
    first = reading(0.0, begins=Phase.SETUP)
    rest = [reading(i / 7, ended=facts if i % 3 else {}) for i in range(1, count)]
    return [first, *rest]


def _absent() -> Component:
    return Component(
        energy_j=None, low_j=None, high_j=None, interval=None, method=Method.ABSENT, source=None
    )


def report(job: Job, status: JobStatus, total_j: float | None = None) -> EnergyReport:
    energy = Energy(
        complete=True,
        cpu=_absent(),
        gpu=_absent(),
        ram=_absent(),
        total_j=total_j,
        total_kwh=None,
        low_j=None,
        high_j=None,
        baseline=Baseline(power_w=None, energy_j=None, method=Method.UNAVAILABLE, window_s=None),
        net_j=None,
        wall=Wall(energy_j=None, low_j=None, high_j=None, method=Method.UNAVAILABLE),
        spent_j=total_j,
    )
    return EnergyReport(
        job_id=job.id,
        status=status,
        spec_sha256=job.spec_sha256,
        started_at=None,
        finished_at=MOMENT,
        duration_s=0,
        mean_power_w=None,
        energy=energy,
        stock_codecarbon=StockCodecarbon(
            cpu_kwh=None, ram_kwh=None, gpu_kwh=None, total_kwh=None, emissions_kg=None
        ),
        emissions=Emissions(
            co2e_g=None,
            low_g=None,
            high_g=None,
            intensity_g_per_kwh=None,
            intensity_source=None,
            intensity_year=None,
            country_iso_code=None,
            region=None,
            pue=1,
            reason="no_country",
        ),
        phases=(),
        power=PowerSeries(t_s=(), cpu_w=(), gpu_w=(), ram_w=()),
        work=Work(
            parameters=1,
            layers=1,
            flops_per_sample=None,
            samples=0,
            flops=None,
            training_s=0,
            achieved_flops_per_s=None,
        ),
        quality=Quality(test_accuracy=None, test_loss=None, best_epoch=None),
        efficiency=Efficiency(
            training_j=None,
            j_per_sample=None,
            j_per_epoch=None,
            flops_per_j=None,
            j_to_target=None,
            j_after_best_epoch=None,
        ),
        trust=Trust(
            grade="F",
            reasons=(),
            contention_share=None,
            steal_s=None,
            largest_sample_gap_s=None,
            instrument_cpu_s=None,
        ),
        attempts=(),
        environment=None,
        assumptions=Assumptions(set="codecarbon", version="1", overrides={}),
        readings_sha256=None,
    )


@pytest.fixture
def make_spec() -> Callable[..., JobSpec]:
    return spec


@pytest.fixture
def make_reading() -> Callable[..., Reading]:
    return reading


@pytest.fixture
def make_readings() -> Callable[..., Readings]:
    return readings


@pytest.fixture
def odd() -> list[Reading]:
    return odd_readings()


@pytest.fixture
def make_report() -> Callable[..., EnergyReport]:
    return report


@pytest.fixture
def make_host(make_host: Callable[..., Host]) -> Callable[..., Host]:
    def make(name: str = "box", **fields: object) -> Host:
        return make_host(name, **{"facts": HOST, "meter": METER, "labels": ("gpu",), **fields})

    return make
