"""The queue: its names, and a task that a worker of procrastinate takes."""

from collections.abc import Callable

from app.domain.specs import JobSpec
from app.storage.queue import TASK, make_queue, queue_name
from app.storage.store import Store


def test_a_job_waits_in_the_queue_of_its_label() -> None:
    assert queue_name(()) == "any"
    assert queue_name(("host:box",)) == "host:box"


async def test_a_submitted_job_reaches_a_worker(
    store: Store, database_url: str, make_spec: Callable[..., JobSpec]
) -> None:
    ids = []
    first = await store.submit(make_spec(), max_queued=10)
    urgent = await store.submit(make_spec(priority=5, placement={"labels": ["gpu"]}), max_queued=10)
    await store.submit(make_spec(placement={"labels": ["elsewhere"]}), max_queued=10)
    queue = make_queue(database_url)

    @queue.task(name=TASK)
    async def train(job_id: str) -> None:
        ids.append(job_id)

    async with queue.open_async():
        await queue.run_worker_async(
            queues=["any", "gpu"], wait=False, listen_notify=False, install_signal_handlers=False
        )
    assert ids == [urgent.id, first.id]
