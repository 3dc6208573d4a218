"""Budgets in joules and grams over all attempts of a job."""

from datetime import UTC, datetime

import pytest

from app import settings
from app.domain.jobs import JobStatus
from app.domain.readings import ComponentFacts, MeterFacts, Method, Reading, Readings
from app.domain.reports import AttemptEnergy
from app.domain.specs import JobSpec
from app.metering.host import host_facts
from app.worker.bench import Bench
from app.worker.budget import Budget, budget

ABSENT = ComponentFacts(method=Method.ABSENT)
SENSOR = ComponentFacts(method=Method.MEASURED, source="a sensor")
METER = MeterFacts(cpu=SENSOR, gpu=ABSENT, ram=ABSENT, codecarbon="0")


def ends(seconds, joules, meter=METER):
    taken = [(0.0, 100.0), (seconds, None if joules is None else 100 + joules)]
    readings = tuple(Reading(t_s=t, cpu_j=j, gpu_j=None, ram_j=None) for t, j in taken)
    return Readings(
        attempt=1,
        started_at=datetime.now(UTC),
        host=host_facts("here"),
        meter=meter,
        readings=readings,
    )


def allowed(**fields):
    given = {"limit_j": None, "limit_g": None, "g_per_kwh": None, "pue": 1.0, "spent_j": 0.0}
    return Budget(**given | fields)


@pytest.fixture
def plan(make_job, tmp_path):
    """The budget of a job with this spec, on a worker with these settings."""

    def make(earlier=(), *, country=None, **fields):
        given = settings.load(data_dir=tmp_path, country_iso_code=country)
        bench = Bench(settings=given, store=None, meter=None, host=host_facts("here"))
        spec = JobSpec.model_validate({"model_type": "cnn", **fields})
        return budget(bench, make_job(spec), earlier)

    return make


def test_without_a_limit_there_is_none(plan):
    assert not plan().limited
    assert plan().overrun(ends(10, 1e9)) is None


@pytest.mark.parametrize(("joules", "over"), [(99.9, False), (100.0, True), (250.0, True)])
def test_joules(joules, over):
    cut = allowed(limit_j=100).overrun(ends(10, joules))
    assert bool(cut) is over
    if cut:
        assert (cut.status, cut.error.code) == (JobStatus.BUDGET_EXHAUSTED, "energy_limit")
        assert f"{joules:.4g} J" in cut.error.message
        assert "limits.energy_j = 100 J" in cut.error.message


def test_grams_are_joules_times_pue_times_intensity():
    grams = allowed(limit_g=1.0, g_per_kwh=360, pue=2.0)  # 1 g is 5000 J
    assert grams.overrun(ends(10, 4999)) is None
    cut = grams.overrun(ends(10, 5001))
    assert (cut.status, cut.error.code) == (JobStatus.BUDGET_EXHAUSTED, "emissions_limit")
    assert "limits.emissions_g = 1 g" in cut.error.message


def test_the_energy_of_earlier_attempts_counts(plan):
    earlier = [
        AttemptEnergy(attempt=1, ended="lost", energy_j=60.0),
        AttemptEnergy(attempt=2, ended="stopped", energy_j=None),
    ]
    limits = {"energy_j": 100}
    assert plan(earlier, limits=limits).overrun(ends(10, 39)) is None
    assert plan(earlier, limits=limits).overrun(ends(10, 41)).error.code == "energy_limit"
    assert plan(limits=limits).overrun(ends(10, 41)) is None


def test_what_cannot_be_read_counts_nothing():
    assert allowed(limit_j=1).overrun(ends(10, None)) is None
    assert allowed(limit_j=1).overrun(ends(0.1, 50)) is None  # too short for a figure
    assert allowed(limit_j=1, spent_j=2).overrun(ends(10, None)).error.code == "energy_limit"


def test_the_price_is_the_specs_or_the_settings(plan):
    grams = {"limits": {"emissions_g": 5}}
    assert plan(**grams, carbon={"intensity_g_per_kwh": 77}).g_per_kwh == 77
    assert (
        plan(**grams, country="FRA").g_per_kwh
        == plan(**grams, carbon={"country_iso_code": "FRA"}).g_per_kwh
    )


@pytest.mark.parametrize("country", [None, "QQQ"])
def test_grams_that_cannot_be_counted_here_fail_the_job_in_words(plan, country):
    cut = plan(limits={"emissions_g": 5}, country=country).overrun(ends(1, 1))
    assert (cut.status, cut.error.code) == (JobStatus.FAILED, "no_intensity")
    assert "TRAINWATT_COUNTRY_ISO_CODE" in cut.error.message
