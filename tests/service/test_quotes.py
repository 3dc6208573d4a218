"""Quotes on a real database: from jobs that a worker has ended, from pilots, and as budgets."""

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest

from app.analysis.quotes import pilot_spec
from app.domain.errors import OverBudgetError, SpecError
from app.domain.jobs import JobStatus
from app.domain.specs import JobSpec
from app.service import Service
from app.settings import Settings
from app.workloads import catalogue

SPEC = {"model_type": "cnn", "size": "tiny", "epochs": 1, "dataset": {"name": "digits"}}


def spec(**fields):
    return JobSpec.model_validate(SPEC | fields)


@pytest.fixture
async def service(store, make_host):
    await store.beat(make_host("box", last_seen=datetime.now(UTC)))
    return Service(store, Settings())


@pytest.fixture
def ran(service, store, finish_job):
    """Submits jobs and ends them as the worker of the host `box`: 200 J and 10 s, stretched."""

    async def ran(*stretches, **fields):
        for stretch in stretches:
            job = await service.submit(spec(**fields))
            await finish_job(store, job.id, stretch=stretch)

    return ran


async def test_without_like_jobs_there_is_no_quote(service, ran):
    quote = await service.quote(spec(epochs=40))
    assert (quote.basis, quote.reason, quote.host) == ("none", "few_like_jobs", "box")
    assert (quote.energy_j, quote.like_jobs) == (None, 0)
    assert "ask for one" in quote.sentence
    await ran(1.0, 1.0)
    assert (await service.quote(spec())).like_jobs == 2


async def test_without_a_host_there_is_no_quote(store):
    quote = await Service(store, Settings()).quote(spec())
    assert (quote.basis, quote.reason, quote.host) == ("none", "no_host", None)


async def test_repeats_give_a_quote_and_every_job_keeps_its_own(service, ran):
    await ran(0.9, 1.0, 1.1)
    priced = spec(seed=5, carbon={"intensity_g_per_kwh": 360, "pue": 2.0})
    quote = await service.quote(priced)
    assert (quote.basis, quote.like_jobs, quote.host) == ("same_work", 3, "box")
    assert quote.energy_j == pytest.approx(200, rel=0.01)
    assert quote.duration_s == pytest.approx(10, rel=0.01)
    assert quote.energy_low_j < 180
    assert quote.energy_high_j > 220
    assert quote.co2e_g == pytest.approx(quote.energy_j / 3.6e6 * 360 * 2)
    job = await service.submit(priced)
    assert job.quote == quote
    assert (await service.get(job.id)).quote == quote


async def test_what_failed_or_ran_elsewhere_says_nothing(service, store, ran, finish_job):
    await ran(1.0, 1.0)
    failed = await service.submit(spec())
    await finish_job(store, failed.id, status=JobStatus.FAILED)
    elsewhere = await service.submit(spec())
    await finish_job(store, elsewhere.id, host="elsewhere")
    assert (await service.quote(spec())).like_jobs == 2


async def test_a_host_that_is_named_must_take_the_job(service):
    with pytest.raises(SpecError) as caught:
        await service.quote(spec(), host="other")
    assert [error.field for error in caught.value.errors] == ["host"]
    assert (await service.quote(spec(), host="box")).host == "box"


async def test_a_wrong_spec_is_named_within_the_request(service):
    with pytest.raises(SpecError) as caught:
        await service.quote(spec(dataset={"name": "none"}))
    assert [error.field for error in caught.value.errors] == ["spec.dataset.name"]


@pytest.fixture
def two_hosts(service, store, make_host, finish_job):
    """Jobs of 200 J on `box` and of 100 J on `spare`, three of each; `spare` differs by more."""

    async def made():
        await store.beat(make_host("spare", last_seen=datetime.now(UTC)))
        for host, stretch in (("box", 1.0), ("spare", 0.5)):
            for wide in (0.8, 1.0, 1.2) if host == "spare" else (0.99, 1.0, 1.01):
                job = await service.submit(spec(), force=True)
                await finish_job(store, job.id, stretch=stretch * wide, host=host)

    return made


async def test_of_two_hosts_the_one_that_needs_less_is_quoted(service, two_hosts):
    await two_hosts()
    assert (await service.quote(spec())).host == "spare"
    at_box = await service.quote(spec(), host="box")
    assert (at_box.host, at_box.energy_j) == ("box", pytest.approx(200, rel=0.01))
    placed = await service.quote(spec(placement={"labels": ["host:box"]}))
    assert placed == at_box


async def test_a_job_is_refused_only_where_no_host_may_keep_its_limit(
    service, store, two_hosts, make_host
):
    await two_hosts()
    assert (await service.submit(spec(limits={"energy_j": 150}))).quote.host == "spare"
    tight = {"limits": {"energy_j": 1}}
    with pytest.raises(OverBudgetError):
        await service.submit(spec(**tight))
    with pytest.raises(OverBudgetError):
        await service.submit(spec(limits={"energy_j": 150}, placement={"labels": ["host:box"]}))
    await store.beat(make_host("new", last_seen=datetime.now(UTC)))  # which nothing is known of
    assert (await service.submit(spec(**tight))).quote.host == "spare"


async def test_a_job_that_would_exceed_its_limit_is_refused_with_its_quote(service, ran):
    await ran(0.99, 1.0, 1.01)
    within = await service.submit(spec(limits={"energy_j": 210}))
    assert within.quote.energy_low_j < 210
    for limits, carbon in (
        ({"energy_j": 100}, {}),
        ({"emissions_g": 0.001}, {"intensity_g_per_kwh": 360}),
    ):
        tight = spec(limits=limits, carbon=carbon)
        with pytest.raises(OverBudgetError, match=f"limits.{next(iter(limits))} is") as caught:
            await service.submit(tight)
        assert caught.value.quote["energy_low_j"] > 100
        forced = await service.submit(tight, force=True)
        assert forced.status is JobStatus.QUEUED


async def test_a_job_that_may_end_early_may_keep_its_limit(service, ran):
    await ran(0.99, 1.0, 1.01)
    for early in ({"target_accuracy": 0.9}, {"early_stopping": {"patience": 1}}):
        job = await service.submit(spec(limits={"energy_j": 50}, **early))
        assert job.quote.energy_low_j > 50


async def test_what_ended_early_is_no_part_of_the_track_record(service, store, ran, finish_job):
    await ran(0.99, 1.0, 1.01)
    long = await service.submit(spec(epochs=3))  # 4,000 of its 4,311 samples are trained
    await finish_job(store, long.id)
    assert long.quote.basis == "none"
    await ran(1.0)
    assert (await service.track_record()).overall.jobs == 1


async def test_a_limit_changes_nothing_of_the_likeness(service, ran):
    await ran(1.0, 1.0, 1.0, limits={"energy_j": 500})
    assert (await service.quote(spec())).basis == "same_work"


async def test_a_pilot_is_run_once_and_then_quoted(service, store, finish_job):
    asked = spec(epochs=40)
    first, second = await asyncio.gather(
        service.quote(asked, pilot=True), service.quote(asked, pilot=True)
    )
    assert first.pending
    assert first.pilot_job == second.pilot_job
    pilot = await service.get(first.pilot_job)
    assert pilot.spec.sha256() == pilot_spec(asked, catalogue.facts(asked)).sha256()
    assert pilot.spec.tags == {"quote": "pilot"}
    assert (await service.quote(asked)).pending
    await finish_job(store, pilot.id, epochs=2)
    told = await service.quote(asked.model_copy(update={"seed": 7}), pilot=True)
    assert (told.basis, told.reason, told.pilot_job) == ("pilot", None, pilot.id)
    # 4 s for each 4,000 samples, 1 s of validation an epoch, 6 s once
    assert told.duration_s == pytest.approx(6 + 40 * 1 + 40 * 1437 / 4000 * 4)
    assert told.energy_j == pytest.approx(20 * told.duration_s)
    job = await service.submit(asked)
    assert job.quote.basis == "pilot"


async def test_a_pilot_of_too_few_phases_is_no_quote(service, store, finish_job, database_url):
    pilot = (await service.quote(spec(epochs=40), pilot=True)).pilot_job
    await finish_job(store, pilot)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE jobs SET finished_at = finished_at - interval '1 hour'")
    for _ in range(2):  # once more would tell nothing else
        told = await service.quote(spec(epochs=40), pilot=True)
        assert (told.basis, told.reason, told.pilot_job) == ("none", "no_energy", pilot)


async def test_a_pilot_is_of_its_host(service, store, finish_job, make_host):
    await store.beat(make_host("spare", last_seen=datetime.now(UTC)))
    asked = spec(epochs=40)
    at_spare = (await service.quote(asked, host="spare", pilot=True)).pilot_job
    assert (await service.get(at_spare)).spec.placement.labels == ("host:spare",)
    assert (await service.quote(asked, host="box")).pilot_job is None
    await finish_job(store, at_spare, epochs=2, host="spare")
    assert (await service.quote(asked, host="spare")).basis == "pilot"
    assert (await service.quote(asked, host="box")).basis == "none"
    assert (await service.quote(asked)).host == "spare"


async def test_a_pilot_that_succeeded_counts_whatever_came_later(service, store, finish_job):
    asked = spec(epochs=40)
    pilot = (await service.quote(asked, pilot=True)).pilot_job
    await finish_job(store, pilot, epochs=2)
    later = await service.submit(pilot_spec(asked, catalogue.facts(asked)))
    assert (await service.quote(asked)).basis == "pilot"
    await service.cancel(later.id)
    assert (await service.quote(asked)).pilot_job == pilot


async def test_a_host_by_whose_name_no_job_can_be_placed_is_named(service, store, make_host):
    await store.beat(make_host("my höst", last_seen=datetime.now(UTC)))
    with pytest.raises(SpecError) as caught:
        await service.quote(spec(epochs=40), host="my höst", pilot=True)
    assert [error.field for error in caught.value.errors] == ["host"]
    assert (await service.quote(spec(epochs=40), host="my höst")).basis == "none"


async def test_a_job_that_is_hardly_longer_has_no_pilot(service, store):
    for pilot in (False, True):
        quote = await service.quote(spec(), pilot=pilot)
        assert (quote.reason, quote.pilot_job) == ("no_pilot", None)
        assert "A pilot would tell nothing" in quote.sentence
    assert (await store.list_jobs()).items == ()


async def test_a_pilot_that_did_not_succeed_is_told_and_later_run_again(
    service, store, finish_job, database_url
):
    asked = spec(epochs=40)
    first = (await service.quote(asked, pilot=True)).pilot_job
    await service.cancel(first)
    second = (await service.quote(asked, pilot=True)).pilot_job
    assert second != first
    await finish_job(store, second, status=JobStatus.FAILED)
    told = await service.quote(asked, pilot=True)
    assert (told.reason, told.pilot_job, told.pending) == ("pilot_failed", second, False)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE jobs SET finished_at = finished_at - interval '1 hour'")
    third = await service.quote(asked, pilot=True)
    assert third.pending
    assert third.pilot_job not in {first, second}


async def test_an_old_pilot_is_forgotten(service, store, finish_job, database_url):
    asked = spec(epochs=40)
    pilot = (await service.quote(asked, pilot=True)).pilot_job
    await finish_job(store, pilot, epochs=2)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE jobs SET created_at = created_at - interval '31 days'")
    assert (await service.quote(asked)).basis == "none"


async def test_works_of_another_version_are_left_out(service, ran, database_url, caplog):
    await ran(1.0, 1.0, 1.0)
    with psycopg.connect(database_url) as connection:
        connection.execute("""UPDATE jobs SET work = '{"model_type": "cnn"}'""")
    quote = await service.quote(spec())
    assert (quote.basis, quote.like_jobs) == ("none", 0)
    assert "of another version" in caplog.text


async def test_the_track_record_is_of_quotes_with_figures_on_their_host(service, ran):
    assert (await service.track_record()).overall is None
    await ran(0.99, 1.0, 1.01)  # without figures
    assert (await service.track_record()).overall is None
    await ran(1.0, 2.0)
    found = await service.track_record()
    assert (found.overall.jobs, found.overall.energy_coverage) == (2, 0.5)
    (item,) = found.items
    assert (item.host, item.model_type) == ("box", "cnn")
    assert item.energy_error_median == pytest.approx(0.25, abs=0.01)
