"""Reports evaluated again from stored readings, by a store in memory and by a real one."""

import hashlib
import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from app.accounting import assumptions
from app.accounting.report import empty_report, report
from app.domain.errors import SpecError, StateError
from app.domain.evaluation import Evaluation
from app.domain.jobs import JobStatus
from app.domain.quantities import CarbonIntensity
from app.domain.readings import ComponentFacts, HostFacts, MeterFacts, Method, Reading, Readings
from app.domain.reports import AttemptEnergy
from app.domain.specs import JobSpec
from app.service import Service
from app.settings import Settings
from app.workloads import catalogue

MOMENT = datetime(2026, 11, 24, 20, tzinfo=UTC)
SPEC = JobSpec(model_type="cnn")
EARLIER = (AttemptEnergy(attempt=1, ended="lost", energy_j=5.0),)
HOST = HostFacts(
    name="here",
    boot_id=None,
    os="Linux",
    python="3.11",
    cpu_vendor=None,
    cpu_model=None,
    cpu_family=None,
    cpu_model_number=None,
    logical_cpus=2,
    host_cpus=2,
    memory_gib=24,
)
METER = MeterFacts(
    cpu=ComponentFacts(method="assumed", source="codecarbon cpu_load", tdp_w=8, tdp_guessed=True),
    gpu=ComponentFacts(method=Method.ABSENT),
    ram=ComponentFacts(method="assumed", constant_w=20),
    codecarbon="3.3.2",
)


def price(**changes):
    known = {"g_per_kwh": 56.039, "source": "codecarbon global_energy_mix", "year": 2023}
    known |= {"country_iso_code": "FRA", "region": None, "pue": 1.2, "reason": None}
    return CarbonIntensity.model_validate(known | changes)


def readings(attempt=2, seconds=9):
    taken = [
        Reading(t_s=t, cpu_j=8.0 * t, gpu_j=None, ram_j=20.0 * t, host_busy_s=2.0 * t)
        for t in range(seconds)
    ]
    return Readings(attempt=attempt, started_at=MOMENT, host=HOST, meter=METER, readings=taken)


def measured(make_job, one_job_store, **changes):
    """A service that holds one finished job of two attempts."""
    job = make_job(SPEC, status=JobStatus.SUCCEEDED, attempt=2)
    stored = report(
        readings(),
        job_id=job.id,
        spec=SPEC,
        status=job.status,
        work=catalogue.facts(SPEC),
        intensity=price(**changes),
        earlier=EARLIER,
    )
    return one_job_store(job, report=stored.model_dump_json().encode(), readings=readings())


def empty(make_job, one_job_store, status, *, lost=None, earlier=()):
    job = make_job(SPEC, status=status, attempt=len(earlier))
    stored = empty_report(
        job_id=job.id,
        spec=SPEC,
        status=status,
        work=catalogue.facts(SPEC),
        intensity=price(),
        finished_at=MOMENT,
        earlier=earlier,
        lost=lost,
    )
    return one_job_store(job, report=stored.model_dump_json().encode())


async def ask(store, settings=None, **wanted):
    return await Service(store, settings or Settings()).evaluated("j", Evaluation(**wanted))


@pytest.fixture
def finished(make_job, one_job_store):
    return SimpleNamespace(
        measured=lambda **changes: measured(make_job, one_job_store, **changes),
        empty=lambda status, **more: empty(make_job, one_job_store, status, **more),
    )


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"assumptions": "codecarbon"},
        {"pue": 1.2},
        {"country_iso_code": "FRA"},
        {"country_iso_code": "FRA", "pue": 1.2, "assumptions": "codecarbon"},
    ],
)
async def test_what_it_was_made_with_gives_the_stored_bytes(finished, wanted):
    store = finished.measured()
    assert await ask(store, **wanted) == store.body


async def test_another_catalogue_and_other_settings_leave_it_as_it_was(finished, monkeypatch):
    store = finished.measured()
    facts = catalogue.facts(SPEC).model_copy(update={"parameters": 1, "flops_per_sample": 1})
    monkeypatch.setattr(catalogue, "facts", lambda _: facts)
    elsewhere = Settings(country_iso_code="USA", region="texas")
    assert await ask(store, elsewhere, assumptions="codecarbon") == store.body


@pytest.mark.parametrize("g_per_kwh", [None, 120.0])
async def test_an_own_figure_or_none_stays_what_it_is(finished, g_per_kwh):
    given = g_per_kwh is not None
    priced = {
        "g_per_kwh": g_per_kwh,
        "source": "given in the spec" if given else None,
        "year": None,
        "country_iso_code": None,
        "reason": None if given else "no_country",
    }
    store = finished.measured(**priced)
    assert await ask(store, assumptions="codecarbon") == store.body
    if given:
        assert await ask(store, intensity_g_per_kwh=g_per_kwh) == store.body
    other = json.loads(await ask(store, intensity_g_per_kwh=7.0))["emissions"]
    assert (other["intensity_g_per_kwh"], other["intensity_source"], other["reason"]) == (
        7.0,
        "given in the request",
        None,
    )


async def test_another_price_changes_the_price_alone(finished):
    store = finished.measured()
    stored = json.loads(store.body)
    found = json.loads(await ask(store, country_iso_code="USA", region="CA", pue=1.0))
    emissions, stock = found.pop("emissions"), found.pop("stock_codecarbon")
    assert (emissions["region"], emissions["pue"]) == ("california", 1.0)
    grams = found["energy"]["total_kwh"] * emissions["intensity_g_per_kwh"]
    assert emissions["co2e_g"] == pytest.approx(grams)
    assert stock["emissions_kg"] == pytest.approx(grams / 1000)
    assert found == {k: v for k, v in stored.items() if k not in {"emissions", "stock_codecarbon"}}


async def test_the_country_without_its_region_and_a_region_of_the_stored_country(finished):
    store = finished.measured(country_iso_code="USA", region="texas", g_per_kwh=1.0)
    alone = json.loads(await ask(store, country_iso_code="USA"))["emissions"]
    assert (alone["region"], alone["intensity_g_per_kwh"]) == (None, 369.473)
    moved = json.loads(await ask(store, region="ohio"))["emissions"]
    assert (moved["country_iso_code"], moved["region"]) == ("USA", "ohio")
    kept = json.loads(await ask(store, pue=2.0))["emissions"]
    assert (kept["region"], kept["intensity_g_per_kwh"], kept["pue"]) == ("texas", 1.0, 2.0)
    figure = json.loads(await ask(store, intensity_g_per_kwh=3.0))["emissions"]
    assert (figure["country_iso_code"], figure["region"]) == ("USA", "texas")
    beside = json.loads(await ask(store, region="ohio", intensity_g_per_kwh=3.0))["emissions"]
    assert (beside["country_iso_code"], beside["intensity_g_per_kwh"]) == ("USA", 3.0)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"assumptions": "nothing"}, "assumptions"),
        ({"country_iso_code": "XXX"}, "country_iso_code"),
        ({"country_iso_code": "XXX", "intensity_g_per_kwh": 1.0}, "country_iso_code"),
        ({"country_iso_code": "USA", "region": "bavaria"}, "region"),
        ({"region": "bavaria"}, "region"),
    ],
)
async def test_what_is_not_known_is_named_as_its_parameter(finished, wanted, field):
    with pytest.raises(SpecError) as caught:
        await ask(finished.measured(), **wanted)
    (error,) = caught.value.errors
    assert (error.field, error.received) == (field, wanted[field])
    assert "carbon." not in error.expected
    assert "TRAINWATT" not in error.expected
    if field == "assumptions":
        assert error.expected == f"one of {', '.join(assumptions.SETS)}"


async def test_a_region_needs_a_country_somewhere(finished):
    unpriced = {"g_per_kwh": None, "source": None, "year": None, "country_iso_code": None}
    store = finished.measured(**unpriced, reason="no_country")
    with pytest.raises(SpecError, match="beside country_iso_code"):
        await ask(store, region="california")


@pytest.mark.parametrize(
    ("status", "more"),
    [
        (JobStatus.CANCELLED, {}),
        (JobStatus.CANCELLED, {"earlier": EARLIER}),
        (JobStatus.FAILED, {"lost": AttemptEnergy(attempt=1, ended="failed", energy_j=None)}),
        (
            JobStatus.FAILED,
            {
                "earlier": EARLIER,
                "lost": AttemptEnergy(attempt=2, ended="failed", energy_j=None),
            },
        ),
    ],
)
async def test_without_readings_only_the_price_changes(finished, status, more):
    store = finished.empty(status, **more)
    assert await ask(store, assumptions="codecarbon") == store.body
    found, stored = json.loads(await ask(store, country_iso_code="SWE")), json.loads(store.body)
    assert found.pop("emissions")["country_iso_code"] == "SWE"
    stored.pop("emissions")
    assert found == stored


async def test_other_assumptions_count_every_attempt_again(finished, monkeypatch):
    double = assumptions.AssumptionSet(name="double", version="7", wall_factor=2.0)
    monkeypatch.setitem(assumptions.SETS, "double", double)
    store = finished.measured()
    found, stored = json.loads(await ask(store, assumptions="double")), json.loads(store.body)
    assert found["assumptions"] == {"set": "double", "version": "7", "overrides": {}}
    assert found["energy"]["wall"]["energy_j"] == 2 * stored["energy"]["total_j"]
    total_j = stored["energy"]["total_j"]  # the store has the same readings of both attempts
    assert [attempt["energy_j"] for attempt in found["attempts"]] == [total_j, total_j]
    assert found["energy"]["spent_j"] == 2 * total_j


async def test_specpower_evaluates_the_same_readings_of_every_attempt(finished):
    store = finished.measured()
    found, stored = json.loads(await ask(store, assumptions="specpower")), json.loads(store.body)
    assert found["assumptions"] == {"set": "specpower", "version": "2", "overrides": {}}
    assert found["readings_sha256"] == stored["readings_sha256"]
    energy, before = found["energy"], stored["energy"]
    # two busy CPUs of an unknown server for 8 s: 3.24 W ÷ 1.33, less its RAM
    assert energy["cpu"]["energy_j"] == pytest.approx(2 * (3.24 / 1.33 - 0.3528) * 8)
    assert energy["ram"]["energy_j"] == pytest.approx(0.392 * 24 * 2**30 / 1e9 * 8)
    assert (energy["low_j"], energy["high_j"]) == (before["low_j"], before["high_j"])
    assert found["stock_codecarbon"] == stored["stock_codecarbon"]
    assert energy["spent_j"] == 2 * energy["total_j"] != before["spent_j"]
    assert sum(phase["energy_j"] for phase in found["phases"]) == pytest.approx(energy["total_j"])
    assert json.loads(await ask(store, assumptions="specpower", pue=1.2)) == found


async def test_readings_that_an_older_release_wrote_otherwise_keep_their_name(finished):
    store = finished.measured()
    older = readings().model_dump_json().encode()  # defaults too, as bytes were written once
    named = hashlib.sha256(older).hexdigest()
    store.found = Readings.model_validate_json(older)
    stored = json.loads(store.body) | {"readings_sha256": named}
    assert store.found.sha256() != named
    store.body = json.dumps(stored).encode()
    found = json.loads(await ask(store, pue=2.0))
    assert found["readings_sha256"] == named
    assert found["emissions"]["pue"] == 2.0


@pytest.mark.parametrize("spoilt", ["gone", "none", "counters"])
async def test_readings_that_cannot_be_accounted_for_again(finished, monkeypatch, spoilt):
    store = finished.measured()
    if spoilt == "gone":
        store.found = None
    elif spoilt == "none":
        store.found = store.found.model_copy(update={"readings": ()})
    else:
        monkeypatch.setattr("app.service.evaluation.report", lambda *_, **__: 1 / 0)
    with pytest.raises(StateError, match="as it is stored, without parameters") as caught:
        await ask(store, pue=2.0)
    assert caught.value.status == "succeeded"
    assert await ask(store) == store.body


async def test_before_the_end_there_is_nothing_to_evaluate(make_job, one_job_store):
    with pytest.raises(StateError, match="cannot be had yet"):
        await ask(one_job_store(make_job(status=JobStatus.RUNNING)), pue=2.0)
