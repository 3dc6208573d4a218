"""A job that knows its client, in both twins."""

import pytest

from app.client import AsyncClient
from app.domain.jobs import JobStatus
from app.domain.specs import JobSpec

SPEC = JobSpec(model_type="cnn", size="tiny")


def test_a_job_is_waited_for_and_reported(client, capsys):
    job = client.submit(SPEC)
    with pytest.raises(TimeoutError, match=f"job {job.id} is queued after 0 s"):
        job.wait(timeout_s=0, progress=True)
    job.cancel()
    ended = job.wait(progress=True)
    assert ended.status is JobStatus.CANCELLED
    assert job.status is JobStatus.QUEUED  # as it was
    assert job.refresh() == ended == client.get(job.id)
    assert [event.data.status for event in job.events()] == [JobStatus.CANCELLED]
    assert ended.report(country_iso_code="FRA").emissions.country_iso_code == "FRA"
    assert capsys.readouterr().err.splitlines() == [
        "queued, position 1",
        "queued, position 1",
        "cancelled",
    ]


def test_without_progress_nothing_is_printed(client, capsys):
    client.submit(SPEC).cancel().wait()
    assert capsys.readouterr() == ("", "")


async def test_the_same_awaited(url):
    async with AsyncClient(url) as client:
        job = await client.submit(SPEC)
        with pytest.raises(TimeoutError, match="queued after 0 s"):
            await job.wait(timeout_s=0)
        await job.cancel()
        ended = await job.wait(progress=True)
        assert ended.status is JobStatus.CANCELLED
        assert await job.refresh() == ended
        assert [event.data.status async for event in job.events()] == [JobStatus.CANCELLED]
        assert (await ended.report(pue=1.5)).emissions.pue == 1.5


def test_jobs_of_a_list_know_their_client_too(client):
    job = client.submit(SPEC)
    (listed,) = client.list().items
    assert listed == job
    assert listed.cancel().status is JobStatus.CANCELLED
    assert len({listed, job}) == 1
