"""Experiments on a real store: made whole or not at all, followed to their end, cancelled."""

from datetime import UTC, datetime

import pytest

from app.domain.errors import (
    NotFoundError,
    QueueFullError,
    SpecError,
    StateError,
    UnavailableError,
)
from app.domain.experiments import ExperimentSpec
from app.domain.jobs import JobFilter, JobStatus
from app.domain.readings import HostFacts
from app.domain.specs import JobSpec
from app.service import Service
from app.settings import Settings
from app.worker.bench import Bench
from app.worker.experiments import settle, settle_all

BASE = {"model_type": "cnn", "size": "tiny", "dataset": {"name": "digits"}}


@pytest.fixture
def service(store):
    return Service(store, Settings(max_experiment_jobs=24, max_queued_jobs=30))


@pytest.fixture
def bench(store, make_host):
    facts: HostFacts = make_host("box").facts
    return Bench(settings=Settings(), store=store, meter=None, host=facts)


@pytest.fixture
def create(service):
    async def made(**fields):
        given = {"base": BASE, "vary": {"batch_size": [32, 128]}, "repeats": 3, **fields}
        spec = ExperimentSpec.model_validate(given)
        placed = [(place, JobSpec.model_validate(body)) for place, body in spec.bodies()]
        return await service.create_experiment(spec, placed)

    return made


async def _jobs(store, experiment):
    """In the order in which they run."""
    page = await store.list_jobs(JobFilter(experiment=experiment.id), limit=100)
    return sorted(page.items, key=lambda job: (job.queue_position or 0, job.created_at))


async def test_every_repeat_is_a_job_in_blocks_of_one_seed_each(store, create):
    made = await create(repeats=4)
    assert [v.label for v in made.variants] == ["batch_size=32", "batch_size=128"]
    assert (made.jobs, made.ended) == ({"queued": 8}, None)
    jobs = await _jobs(store, made)
    assert [job.block for job in jobs] == [0, 0, 1, 1, 2, 2, 3, 3]
    for first, second in zip(jobs[::2], jobs[1::2], strict=True):
        assert {first.variant, second.variant} == {0, 1}
        assert first.spec.seed == second.spec.seed == first.block
        assert first.spec.experiment_id == made.id
    orders = {tuple(job.variant for job in jobs[n : n + 2]) for n in (0, 2, 4, 6)}
    assert orders == {(0, 1), (1, 0)}
    assert jobs[0].spec_sha256 == jobs[0].spec.sha256()


async def test_an_order_can_be_repeated_and_be_none(store, create):
    async def order(**fields):
        return [job.variant for job in await _jobs(store, await create(**fields))]

    assert await order(order_seed=5) == await order(order_seed=5)
    assert await order(order="sequential") == [0, 0, 0, 1, 1, 1]


async def test_a_seed_that_is_varied_or_kept_is_left_alone(store, create):
    varied = await create(vary={"seed": [7, 8]}, repeats=2)
    assert sorted(job.spec.seed for job in await _jobs(store, varied)) == [7, 7, 8, 8]
    kept = await create(vary_seed=False, repeats=2)
    assert {job.spec.seed for job in await _jobs(store, kept)} == {0}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"repeats": 13}, "repeats"),
        ({"variants": [{}, {"batch_size": 32}], "vary": {}}, "variants[1]"),
        ({"vary": {"batch_size": [32, 10**6]}}, "vary[batch_size=1000000].batch_size"),
        ({"vary": {"dataset.name": ["digits", "x"]}}, "vary[dataset.name=x].dataset.name"),
    ],
)
async def test_what_cannot_be_is_named_and_nothing_is_made(store, create, fields, field):
    with pytest.raises(SpecError) as caught:
        await create(**fields)
    assert caught.value.errors[0].field == field
    assert (await store.list_jobs()).items == ()
    assert (await store.list_experiments()).items == ()


async def test_a_queue_without_room_for_all_takes_none(store, service, create):
    for _ in range(26):
        await service.submit(JobSpec.model_validate(BASE))
    with pytest.raises(QueueFullError, match="6 more are too many"):
        await create()
    assert (await store.list_experiments()).items == ()


async def test_no_job_can_claim_to_be_of_an_experiment(service):
    with pytest.raises(SpecError, match="experiment_id"):
        await service.submit(JobSpec.model_validate({**BASE, "experiment_id": "mine"}))


async def test_it_ends_with_its_last_job_and_says_what_came_of_it(
    store, service, create, bench, finish_job
):
    made = await create()
    assert "Nothing is known yet" in (await service.experiment_result(made)).sentences[0]
    for job in await _jobs(store, made):
        noise = 1 + job.block / 100 + (job.variant * job.block) / 1000
        await finish_job(store, job.id, stretch=(2.0, 1.0)[job.variant] * noise)
        await settle(bench, made.id)
    ended = await service.experiment(made.id)
    assert (ended.ended, ended.jobs) == ("complete", {"succeeded": 6})
    result = await service.experiment_result(ended)
    assert result.sentences[0].startswith("batch_size=128 uses 50 % less energy than")
    assert result.sentences[0].endswith("at the same accuracy.")
    assert [v.energy_j.runs for v in result.variants] == [3, 3]
    (pair,) = result.pairs
    assert (pair.blocks, pair.less) == (3, "b")
    assert result.variants[0].dominated_by == 1


async def test_once_enough_is_known_the_rest_is_not_run(store, service, create, bench, finish_job):
    made = await create(repeats={"min": 2, "max": 10}, stop={"ratio_within": 0.1})
    ran = 0
    for job in await _jobs(store, made):
        if (await store.get(job.id)).status is not JobStatus.QUEUED:
            break
        await finish_job(store, job.id, stretch=(2.0, 1.0)[job.variant] * (1 + job.block / 100))
        await settle(bench, made.id)
        ran += 1
    assert ran == 4
    ended = await service.experiment(made.id)
    assert (ended.ended, ended.jobs) == ("ratio_within", {"cancelled": 16, "succeeded": 4})
    left_out = await store.list_jobs(JobFilter(experiment=made.id, status=JobStatus.CANCELLED))
    assert left_out.items[0].error.code == "experiment_ended"
    result = await service.experiment_result(ended)
    assert [v.failed for v in result.variants] == [0, 0]
    assert await store.unsettled() == ()


async def test_a_budget_that_is_reached_ends_it(store, service, create, bench, finish_job):
    made = await create(budget={"energy_j": 350})
    jobs = await _jobs(store, made)
    for job in jobs[:2]:
        await finish_job(store, job.id)
        await settle(bench, made.id)
    assert (await service.experiment(made.id)).ended == "budget"
    assert (await store.get(jobs[2].id)).status is JobStatus.CANCELLED


async def test_a_failure_counts_and_does_not_stop_the_rest(
    store, service, create, bench, finish_job
):
    made = await create(repeats=2, constraint={"min_accuracy": 0.95})
    for place, job in enumerate(await _jobs(store, made)):
        status = JobStatus.FAILED if place == 0 else JobStatus.SUCCEEDED
        await finish_job(store, job.id, status=status)
        await settle(bench, made.id)
    ended = await service.experiment(made.id)
    result = await service.experiment_result(ended)
    assert (ended.ended, sum(v.failed for v in result.variants)) == ("complete", 1)
    assert result.best is None
    assert any("No variant reaches an accuracy of 0.95" in said for said in result.sentences)
    assert any("did not succeed are left out: 1 of" in said for said in result.sentences)


async def test_what_a_lost_worker_left_is_settled_by_the_sweep(
    store, service, create, bench, finish_job
):
    over = await create(repeats=1)
    for job in await _jobs(store, over):
        await finish_job(store, job.id)
    half = await create(repeats=2)
    await store.end_experiment(half.id, "budget")
    assert set(await store.unsettled()) == {over.id, half.id}
    await settle_all(bench)
    assert (await service.experiment(over.id)).ended == "complete"
    assert (await service.experiment(half.id)).jobs == {"cancelled": 4}
    assert await store.unsettled() == ()


async def test_one_that_cannot_be_judged_ends_no_worker_but_a_lost_database_does(
    store, service, create, bench, finish_job, monkeypatch, caplog
):
    made = await create(repeats=1)
    for job in await _jobs(store, made):
        await finish_job(store, job.id)

    def fails(error):
        def judged(*_):
            raise error

        monkeypatch.setattr("app.worker.experiments.enough", judged)

    fails(ValueError("of another release"))
    await settle_all(bench)
    assert "cannot be judged" in caplog.text
    assert (await service.experiment(made.id)).ended is None
    fails(UnavailableError("away"))
    with pytest.raises(UnavailableError):
        await settle_all(bench)


async def test_cancelled_it_ends_at_once_and_only_once(store, service, create):
    made = await create()
    first, *_ = await _jobs(store, made)
    await store.claim(first.id, "box")
    cancelled = await service.cancel_experiment(made.id)
    assert cancelled.ended == "cancelled"
    assert cancelled.jobs == {"cancelled": 5, "running": 1}
    assert await store.cancel_requested(first.id)
    with pytest.raises(StateError, match="ended already"):
        await service.cancel_experiment(made.id)
    with pytest.raises(NotFoundError):
        await service.cancel_experiment("nothing")
    with pytest.raises(NotFoundError):
        await service.experiment("a\0b")


async def test_they_are_listed_newest_first_page_by_page(service, create):
    made = [await create(name=f"e{n}", repeats=1) for n in range(3)]
    first = await service.list_experiments(limit=2)
    last = await service.list_experiments(limit=2, cursor=first.next_cursor)
    assert [e.id for e in (*first.items, *last.items)] == [e.id for e in made[::-1]]
    assert (last.next_cursor, first.items[0].jobs) == (None, {"queued": 2})
    for cursor in ("x", "W10="):
        with pytest.raises(SpecError, match="cursor"):
            await service.list_experiments(cursor=cursor)
    assert made[0].created_at <= datetime.now(UTC)


async def test_variants_are_compared_over_all_of_their_runs(service, store, create, finish_job):
    made = await create(repeats=2)
    a, b = (f"{made.id}:{number}" for number in (0, 1))
    with pytest.raises(StateError, match="No run of variant 0") as caught:
        await service.compare(a, b)
    assert caught.value.status == "running"
    for job in await _jobs(store, made):
        await finish_job(store, job.id, stretch=2.0 if job.variant == 1 else 1.0)
    found = await service.compare(a, b)
    assert (len(found.a), len(found.b)) == (2, 2)
    assert found.ratio == pytest.approx(2.0)
    assert (found.holds, found.runs_low) == ("in_all", pytest.approx(2.0))
    assert "means over runs" in found.sentences[-1]
    mixed = await service.compare(found.a[0], b)
    assert (mixed.a, len(mixed.b)) == ((found.a[0],), 2)
    assert "One run of a side" in mixed.sentences[-1]
    with pytest.raises(NotFoundError, match="no variant 2"):
        await service.compare(a, f"{made.id}:2")
    with pytest.raises(NotFoundError, match="no experiment"):
        await service.compare(a, "none:0")
    with pytest.raises(SpecError, match="another job than a"):
        await service.compare(a, f"{made.id}:00")
    with pytest.raises(SpecError, match="another job than a"):
        await service.compare(found.a[0], a)


async def test_variants_whose_runs_differ_as_much_as_they_do_have_no_verdict(
    service, store, create, finish_job
):
    made = await create(repeats=3)
    stretches = {(0, 0): 1.0, (0, 1): 1.1, (0, 2): 1.05, (1, 0): 1.1, (1, 1): 1.0, (1, 2): 1.12}
    for job in await _jobs(store, made):
        await finish_job(store, job.id, stretch=stretches[job.variant, job.block])
    found = await service.compare(f"{made.id}:0", f"{made.id}:1")
    assert found.ratio > 1
    assert found.runs_low < 1 < found.runs_high
    assert found.holds == "cannot_tell"
    assert "which their runs do not make sure" in found.sentences[0]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"repeats": 4, "stop": {"ratio_within": 0.1}}, "stop.ratio_within"),
        (
            {"repeats": {}, "order": "sequential", "stop": {"ratio_within": 0.1}},
            "stop.ratio_within",
        ),
        ({"budget": {"emissions_g": 5}}, "budget.emissions_g"),
    ],
)
async def test_what_could_not_be_kept_is_refused(create, fields, field):
    with pytest.raises(SpecError) as caught:
        await create(**fields)
    assert [error.field for error in caught.value.errors] == [field]
