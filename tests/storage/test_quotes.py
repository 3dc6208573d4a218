"""The past that quotes are made from: whose jobs count, which pilot is found, what became of it."""

from datetime import UTC, datetime, timedelta

import pytest

from app.analysis.quotes import work
from app.domain.jobs import JobStatus
from app.domain.quotes import Quote, Quoted
from app.domain.specs import JobSpec
from app.storage.store import Store
from app.workloads import catalogue

LONG_AGO = datetime.now(UTC) - timedelta(days=1)


def spec(**fields: object) -> JobSpec:
    return JobSpec.model_validate({"model_type": "cnn", "size": "tiny", "epochs": 1, **fields})


def quoted(one: JobSpec, **figures: object) -> Quoted:
    known = {"energy_j": 200.0, "energy_low_j": 190.0, "energy_high_j": 210.0} | {
        "duration_s": 10.0,
        "duration_low_s": 9.0,
        "duration_high_s": 11.0,
    }
    quote = {"basis": "like_jobs", "reason": None, "host": "box", "model_type": one.model_type}
    made = Quote.model_validate({**quote, "like_jobs": 12, **known, **figures})
    return Quoted(work=work(one, catalogue.facts(one)), quote=made)


@pytest.fixture
def ran(store, finish_job):
    """Jobs that ended on `box`: 200 J in 10 s for 4,000 samples."""

    async def ran(one=None, *, kept=None, **how):
        one = one or spec()
        job = await store.submit(one, max_queued=9, quoted=kept or quoted(one))
        await finish_job(store, job.id, **how)
        return job.id

    return ran


async def test_the_past_is_of_a_family_that_succeeded_on_a_host(store: Store, ran) -> None:
    await ran()
    await ran(host="other")
    await ran(status=JobStatus.FAILED)
    await ran(spec(model_type="mlp"))
    unkept = await store.submit(spec(), max_queued=9)
    assert unkept.quote is None
    (one,) = await store.past("cnn", "box")
    assert one.work == quoted(spec()).work
    assert (one.energy_j, one.duration_s) == (pytest.approx(200), pytest.approx(10))
    assert await store.past("cnn", "nowhere") == ()


async def test_what_ended_early_is_of_the_work_that_was_done(store: Store, ran) -> None:
    await ran(spec(epochs=4))  # 16,000 samples were planned
    (one,) = await store.past("cnn", "box")
    assert (one.work.epochs, one.work.samples) == (1, 4000)


async def test_a_pilot_is_of_its_host_or_of_nowhere_yet(store: Store, ran) -> None:
    async def found(host: str, *labels: str, since: datetime = LONG_AGO) -> str | None:
        job = await store.newest(spec().sha256(), host=host, labels=labels, since=since)
        return job and job.id

    assert await found("box") is None
    waiting = await store.submit(spec(placement={"labels": ["gpu"]}), max_queued=9)
    assert await found("box") is None
    assert await found("box", "gpu") == waiting.id
    elsewhere = await ran(host="other")
    assert await found("other") == elsewhere
    assert await found("box") is None
    here = await ran()
    assert await found("box", "gpu") == here  # which succeeded, before the one that waits
    await ran(status=JobStatus.FAILED)
    assert await found("box") == here
    assert await found("box", since=datetime.now(UTC) + timedelta(days=1)) is None


async def test_records_are_of_quotes_with_figures_on_their_host_that_ran_through(
    store: Store, ran
) -> None:
    await ran()
    await ran(spec(epochs=2))  # ended early
    await ran(host="other")
    await ran(status=JobStatus.FAILED)
    await ran(kept=quoted(spec(), basis="none", energy_j=None))
    (one,) = await store.quote_records()
    assert (one.host, one.model_type) == ("box", "cnn")
    assert (one.low_j, one.quoted_j, one.high_j) == (190, 200, 210)
    assert (one.low_s, one.quoted_s, one.high_s) == (9, 10, 11)
    assert (one.energy_j, one.duration_s) == (pytest.approx(200), pytest.approx(10))
