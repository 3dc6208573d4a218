"""What a running job has used so far."""

from app.domain.jobs import JobStatus
from app.domain.readings import ComponentFacts, MeterFacts, Method, Phase, Reading, Readings
from app.domain.specs import JobSpec
from app.service import Service
from app.settings import Settings

ABSENT = ComponentFacts(method=Method.ABSENT)
METER = MeterFacts(
    cpu=ComponentFacts(method=Method.MEASURED, source="codecarbon intel_rapl"),
    gpu=ABSENT,
    ram=ABSENT,
    codecarbon="3.3.2",
)


def reading(t_s, cpu_j, **fields):
    return Reading(t_s=t_s, cpu_j=cpu_j, gpu_j=None, ram_j=None, **fields)


TAKEN = (
    reading(0.0, 0.0, begins=Phase.SETUP),
    reading(1.0, 10.0, begins=Phase.EPOCH, index=0),
    reading(2.0, 30.0),
    reading(3.0, 70.0),
)


async def running(store, make_host, taken):
    job = await store.submit(JobSpec(model_type="cnn"), max_queued=10)
    job = await store.claim(job.id, "h1")
    readings = Readings(
        attempt=1,
        started_at=job.started_at,
        host=make_host("h1").facts,
        meter=METER,
        readings=taken,
    )
    await store.begin_attempt(job.id, 1, readings)
    return job


async def test_all_that_is_stored_makes_a_report(store, make_host, tmp_path):
    service = Service(store, Settings(data_dir=tmp_path))
    job = await running(store, make_host, TAKEN)
    found = await service.so_far(job)
    assert (found.status, found.duration_s, found.energy.total_j) == (JobStatus.RUNNING, 3.0, 70.0)
    assert [phase.energy_j for phase in found.phases] == [10.0, 60.0]
    assert found.power.cpu_w == (10.0, 20.0, 40.0)


async def test_a_glance_has_the_total_and_the_newest_power(store, make_host, tmp_path):
    service = Service(store, Settings(data_dir=tmp_path))
    job = await running(store, make_host, TAKEN)
    found = await service.at_a_glance(job)
    assert (found.duration_s, found.energy.total_j) == (3.0, 70.0)
    assert found.power.cpu_w[-1] == 40.0


async def test_before_the_second_reading_there_is_nothing(store, make_host, tmp_path):
    service = Service(store, Settings(data_dir=tmp_path))
    queued = await store.submit(JobSpec(model_type="cnn"), max_queued=10)
    assert await service.so_far(queued) is None
    assert await service.at_a_glance(queued) is None
    job = await running(store, make_host, TAKEN[:1])
    assert await service.so_far(job) is None
    assert await service.at_a_glance(job) is None
