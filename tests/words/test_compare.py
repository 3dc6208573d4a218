"""Jobs side by side, in words."""

from datetime import UTC, datetime

import pytest

from app.accounting.report import empty_report, report
from app.domain.comparisons import Comparison, Scenario
from app.domain.jobs import JobStatus
from app.domain.quantities import CarbonIntensity
from app.domain.readings import ComponentFacts, MeterFacts, Method, Phase, Reading, Readings
from app.domain.specs import JobSpec
from app.words.compare import Compared, differences, figures, verdict
from app.words.compare import caveats as caveats_of
from app.workloads import catalogue

ABSENT = ComponentFacts(method=Method.ABSENT)
MEASURED = ComponentFacts(method=Method.MEASURED, source="codecarbon intel_rapl")
MODELLED = ComponentFacts(method=Method.ESTIMATED, source="codecarbon cpu_load", tdp_w=65)
PRICE = CarbonIntensity(
    g_per_kwh=100, source="s", year=2023, country_iso_code="FRA", region=None, pue=1, reason=None
)


@pytest.fixture
def compared(make_job, make_host):
    def make(name, joules, *, cpu=MEASURED, host="h1", status=JobStatus.SUCCEEDED, **fields):
        spec = JobSpec.model_validate({"model_type": "cnn", **fields})
        job = make_job(spec, id=name, status=status)
        given = {"job_id": name, "spec": spec, "status": status, "intensity": PRICE}
        given["work"] = catalogue.facts(spec)
        if joules is None:
            made = empty_report(**given, finished_at=datetime(2026, 11, 24, tzinfo=UTC))
            return Compared(name=name, job=job, report=made)
        readings = Readings(
            attempt=1,
            started_at=datetime(2026, 11, 24, tzinfo=UTC),
            host=make_host(host).facts,
            meter=MeterFacts(cpu=cpu, gpu=ABSENT, ram=ABSENT, codecarbon="3.3.2"),
            readings=(
                Reading(t_s=0, cpu_j=0, gpu_j=None, ram_j=None, begins=Phase.SETUP),
                Reading(t_s=10, cpu_j=joules, gpu_j=None, ram_j=None),
            ),
        )
        return Compared(name=name, job=job, report=report(readings, **given))

    return make


def caveats(compared):
    return caveats_of([one.report for one in compared])


FOUND = Comparison(
    a=("1",),
    b=("2",),
    energy_a_j=100.0,
    energy_b_j=80.0,
    ratio=0.8,
    low=0.7,
    high=0.9,
    less="b",
    holds="in_all",
    cancels=True,
    scenarios=45,
    agreeing=45,
    against=(),
    sets={},
)
OTHERS = tuple(Scenario(name=f"CPU by {n}", ratio=1.1) for n in range(4))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {},
            "B used 0.800 times the energy of A (0.700 to 0.900 under each of 45 ways to know it): "
            "B used less in all of them.",
        ),
        (
            {"high": 1.1, "holds": "in_some", "agreeing": 41, "against": OTHERS},
            "B used 0.800 times the energy of A (0.700 to 1.10): B used less under 41 of 45 ways "
            "to know it, and not under the others (CPU by 0; CPU by 1; CPU by 2; …).",
        ),
        (
            {"cancels": False, "high": 3.0, "holds": "cannot_tell"},
            "B used 0.800 times the energy of A by the central figures, and 0.700 to 3.00 times by "
            "the ends of their intervals: nobody can tell who used less.",
        ),
        (
            {"cancels": False},
            "B used 0.800 times the energy of A by the central figures, and 0.700 to 0.900 times "
            "by the ends of their intervals: B used less in any case.",
        ),
        (
            {"ratio": 1.0, "less": None, "holds": "cannot_tell"},
            "B used 1.00 times the energy of A: their central figures are the same (0.700 to 0.900 "
            "under other assumptions).",
        ),
        (
            {"ratio": None, "low": None, "high": None},
            "Nobody can tell how B compares with A: a figure is missing, or is a lower bound.",
        ),
    ],
)
def test_a_verdict_says_whether_it_survives(changes, said):
    assert verdict(FOUND.model_copy(update=changes)) == said


def test_figures_have_ratios_to_the_first_where_both_are_known(compared):
    rows = {f.name: f for f in figures([compared("A", 100.0), compared("B", 250.0)])}
    assert rows["Energy"].values == ("100 J", "250 J")
    assert rows["Energy"].ratios == (None, "2.50")
    assert rows["Duration"].ratios == (None, "1.00")
    assert "Test accuracy" not in rows  # neither has one
    rows = {f.name: f for f in figures([compared("A", 100.0), compared("B", None)])}
    assert rows["Energy"].values == ("100 J", "—")
    assert rows["Energy"].ratios == (None, None)


def test_specs_are_told_field_by_field(compared):
    a = compared("A", 1.0, tags={"run": "1"})
    b = compared("B", 1.0, batch_size=64, tags={"run": "2", "x": "y"})
    rows = {name: (values, differ) for name, values, differ in differences([a, b])}
    assert rows["batch_size"] == (("32", "64"), True)
    assert rows["tags.run"] == (("1", "2"), True)
    assert rows["tags.x"] == (("—", "y"), True)
    assert rows["execution.precision"] == (("float32", "float32"), False)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"host": "h2"}, "different hosts"),
        ({"cpu": MODELLED}, "different methods"),
        ({"status": JobStatus.TIMED_OUT}, "per sample, not totals"),
        ({"batch_size": 64, "seed": 3}, "The trainings differ in batch size."),
    ],
)
def test_what_they_do_not_share_is_said(compared, other, says):
    alike = caveats([compared("A", 100.0), compared("B", 110.0)])
    assert len(alike) == 2
    assert "same factor for all" in alike[0] and "repeat them" in alike[1]
    said = caveats([compared("A", 100.0), compared("B", 110.0, **other)])
    assert any(says in text for text in said)


def test_without_a_sensor_it_compares_durations(compared):
    said = caveats([compared("A", 100.0, cpu=MODELLED), compared("B", 110.0, cpu=MODELLED)])
    assert any("compares durations more than powers" in text for text in said)
    said = caveats([compared("A", 100.0, cpu=MODELLED), compared("B", 100.0, cpu=MODELLED)])
    assert any("this compares durations." in text for text in said)
