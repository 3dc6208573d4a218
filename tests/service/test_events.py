"""A job followed as it goes on: nothing twice, nothing missing, wherever it is taken up again."""

from datetime import UTC, datetime

import pytest

from app.accounting.report import report
from app.domain.errors import NotFoundError
from app.domain.events import PowerSample, Standing
from app.domain.jobs import JobError, JobStatus, Progress, Stage
from app.domain.readings import ComponentFacts, HostFacts, MeterFacts, Method, Reading, Readings
from app.domain.specs import JobSpec
from app.service import Service, events
from app.settings import Settings
from app.workloads import catalogue

MOMENT = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
SPEC = JobSpec(model_type="cnn", carbon={"intensity_g_per_kwh": 50})
HOST = HostFacts(
    name="box",
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
    cpu=ComponentFacts(method=Method.ASSUMED, source="codecarbon cpu_load", tdp_w=8),
    gpu=ComponentFacts(method=Method.ABSENT),
    ram=ComponentFacts(method=Method.ASSUMED, constant_w=20),
    codecarbon="3.3.2",
)


def taken(first, last):
    """Readings once a second; the CPU draws 1 W in the first second, 2 W in the next, …"""
    return tuple(
        Reading(t_s=float(t), cpu_j=t * (t + 1) / 2, gpu_j=None, ram_j=20.0 * t)
        for t in range(first, last)
    )


def progress(step):
    return Progress(epoch=0, epochs=1, step=step, steps=10)


class Run:
    """A job on the real store, with what a worker writes of it."""

    def __init__(self, store, job, service):
        self.store, self.id, self.service, self.attempt = store, job.id, service, 0

    def record(self, readings):
        return Readings(
            attempt=self.attempt, started_at=MOMENT, host=HOST, meter=METER, readings=readings
        )

    async def start(self, last=1):
        job = await self.store.claim(self.id, "box")
        self.attempt = job.attempt
        await self.store.begin_attempt(self.id, self.attempt, self.record(taken(0, last)))

    async def goes_on(self, first, last, step):
        news = {"stage": Stage.TRAINING, "progress": progress(step)}
        assert await self.store.append(self.id, self.attempt, taken(first, last), **news)

    async def stops(self):
        how = {"ended": "stopped", "energy_j": 1.0, "finish_queue_row": False}
        assert await self.store.put_back(self.id, self.attempt, **how)

    async def ends(self, last, status=JobStatus.SUCCEEDED, error=None):
        whole = self.record(taken(0, last))
        made = report(
            whole,
            job_id=self.id,
            spec=SPEC,
            status=status,
            work=catalogue.facts(SPEC),
            intensity=self.service._intensity(SPEC),
        )
        how = {"status": status, "error": error, "report": made, "readings": whole}
        assert await self.store.finish(self.id, self.attempt, **how)
        return made

    async def follow(self, after=None):
        return await self.service.follow(self.id, after)


@pytest.fixture
async def run(store):
    service = Service(store, Settings())
    return Run(store, await store.submit(SPEC, max_queued=9), service)


async def news(following):
    return [event async for event in following.news()]


def powers(found):
    return [event.data for event in found if event.name == "power"]


def short(found):
    """Events as a test writes them."""
    return [_short(event.data) for event in found]


def _short(data):
    if isinstance(data, Standing):
        return f"{data.status}/{data.stage}"
    return data.step if isinstance(data, Progress) else (data.attempt, data.t_s)


async def test_a_whole_life_in_order(run):
    following = await run.follow()
    assert short(await news(following)) == ["queued/None"]
    assert await news(following) == []
    await run.start()
    assert short(await news(following)) == ["running/starting"]
    await run.goes_on(1, 3, 4)
    assert short(await news(following)) == ["running/training", 4, (1, 0.0), (1, 1.0)]
    await run.goes_on(3, 4, 4)
    assert short(await news(following)) == [(1, 2.0)]
    assert not following.over
    error = JobError(code="x", message="why")
    await run.ends(6, JobStatus.FAILED, error)
    last = await news(following)
    assert short(last) == [(1, 3.0), (1, 4.0), "failed/None"]
    assert last[-1].data.error == error
    assert following.over
    assert [event.name for event in last] == ["power", "power", "status"]


async def test_the_power_is_the_reports(run):
    await run.start()
    following = await run.follow()
    seen = await news(following)
    for t in range(1, 9, 2):
        await run.goes_on(t, t + 2, t)
        seen += await news(following)
    made = await run.ends(11)
    seen += await news(following)
    samples = [event.data for event in seen if isinstance(event.data, PowerSample)]
    assert [s.t_s for s in samples] == list(made.power.t_s)
    assert [s.cpu_w for s in samples] == pytest.approx(made.power.cpu_w)
    assert [s.ram_w for s in samples] == pytest.approx(made.power.ram_w)
    assert {s.gpu_w for s in samples} == {None}


async def test_whoever_comes_late_gets_what_is_so_far(run):
    await run.start(3)
    await run.goes_on(3, 5, 1)
    late = await news(await run.follow())
    assert short(late) == ["running/training", 1, *((1, float(t)) for t in range(4))]
    await run.ends(5)
    later = await news(await run.follow())
    assert short(later) == [1, *((1, float(t)) for t in range(4)), "succeeded/None"]


async def test_from_every_id_comes_exactly_the_rest(run, monkeypatch):
    monkeypatch.setattr(events, "BATCH", 2)
    first = await run.follow()
    told = await news(first)
    await run.start(2)
    told += await news(first)
    await run.goes_on(2, 6, 3)
    told += await news(first)
    for number, event in enumerate(told):
        assert powers(await news(await run.follow(event.id))) == powers(told[number + 1 :])
    await run.ends(8)
    end = await news(first)
    assert short(end) == [(1, 5.0), (1, 6.0), "succeeded/None"]
    told += end
    for number, event in enumerate(told[:-1]):
        following = await run.follow(event.id)
        rest = await news(following)
        assert powers(rest) == powers(told[number + 1 :])
        assert rest[-1] == told[-1]
        assert following.over
    assert (await run.follow(told[-1].id)).over
    assert len({event.id for event in told}) == len(told)


async def test_an_attempt_that_ended_unseen_is_told_to_its_end(run):
    await run.start(3)
    seen = await news(await run.follow())
    assert short(seen)[-1] == (1, 1.0)
    await run.goes_on(3, 5, 1)
    await run.stops()
    back = await run.follow(seen[-1].id)
    assert short(await news(back)) == ["queued/None", (1, 2.0), (1, 3.0)]
    await run.start(2)
    assert short(await news(back)) == ["running/starting", (2, 0.0)]
    skipped = await run.follow(seen[-1].id)
    assert short(await news(skipped)) == [(1, 2.0), (1, 3.0), "running/starting", (2, 0.0)]
    fresh = await news(await run.follow())
    assert short(fresh) == ["running/starting", (2, 0.0)]


async def test_an_attempt_that_moved_on_is_finished_by_who_followed_it(run):
    await run.start(2)
    following = await run.follow()
    await news(following)
    await run.goes_on(2, 4, 1)
    await run.stops()
    await run.start(1)
    assert short(await news(following)) == [(1, 1.0), (1, 2.0), "running/starting"]


async def test_readings_of_one_moment_are_one(run):
    await run.start(2)
    same = (taken(1, 2)[0], taken(1, 2)[0].model_copy(update={"cpu_j": 1.5}))
    await run.store.append(run.id, 1, (*same, *taken(2, 3)))
    samples = [e.data for e in await news(await run.follow()) if e.name == "power"]
    assert [(s.t_s, s.cpu_w) for s in samples] == [(0.0, 1.0), (1.0, 2.0)]


async def test_what_is_no_id_of_this_job_begins_anew(run):
    await run.start(3)
    told = await news(await run.follow())
    other = Run(run.store, await run.store.submit(SPEC, max_queued=9), run.service)
    (foreign,) = await news(await other.follow())
    head = told[-1].id.split("-")[0]
    far = f"{head}-1-999999999-{'0' * 12}-{'0' * 12}"  # readings that there are not
    later = f"{head}-7-1-{'0' * 12}-{'0' * 12}"  # an attempt that there is not
    for wrong in (foreign.id, "", "x", "é\0", told[-1].id + "0", "-1" * 10**5, far, later):
        assert short(await news(await run.follow(wrong))) == short(told)


async def test_an_id_is_short_and_plain(run):
    await run.start(3)
    for event in await news(await run.follow()):
        assert event.id.isascii()
        assert len(event.id) < 80


async def test_little_is_read_at_once(run, monkeypatch):
    monkeypatch.setattr(events, "BATCH", 2)
    asked = []
    fresh_readings = run.store.fresh_readings

    async def spy(*args, **more):
        found = await fresh_readings(*args, **more)
        asked.append(len(found.readings))
        return found

    monkeypatch.setattr(run.store, "fresh_readings", spy)
    await run.start(5)
    following = await run.follow()
    await news(following)
    assert asked == [2, 2, 1]
    await run.goes_on(5, 6, 1)
    await news(following)
    assert asked == [2, 2, 1, 1]


async def test_a_job_that_ended_unrun_has_its_status_alone(run):
    await run.service.cancel(run.id)
    assert short(await news(await run.follow())) == ["cancelled/None"]
    assert await run.service.is_final(run.id)


async def test_an_unknown_job_is_not_found(run):
    with pytest.raises(NotFoundError):
        await run.service.follow("none")
    with pytest.raises(NotFoundError):
        await run.service.is_final("none")
