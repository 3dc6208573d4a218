"""What is counted: jobs as they wait, run and end, the joules of ended ones, and hosts."""

from app.domain.jobs import JobStatus
from app.storage.totals import FinishedFigures


async def test_jobs_are_counted_as_they_go(store, make_spec, make_report) -> None:
    assert (await store.figures()).unfinished == {"queued": 0, "running": 0}
    first, second, third = [await store.submit(make_spec(), max_queued=9) for _ in range(3)]
    await store.claim(first.id, "box")
    await store.claim(second.id, "box")
    assert (await store.figures()).unfinished == {"queued": 1, "running": 2}
    for job, energy_j in ((first, 1.5), (second, 2.0)):
        report = make_report(job, JobStatus.SUCCEEDED, energy_j)
        end = {"status": JobStatus.SUCCEEDED, "error": None, "report": report, "readings": None}
        assert await store.finish(job.id, 1, **end)
        assert not await store.finish(job.id, 1, **end)  # fenced: counted once
    await store.cancel(third.id, lambda job: make_report(job, JobStatus.CANCELLED))
    figures = await store.figures()
    assert figures.unfinished == {"queued": 0, "running": 0}
    assert figures.finished == {
        "succeeded": FinishedFigures(jobs=2, energy_j=3.5),
        "cancelled": FinishedFigures(jobs=1, energy_j=0.0),
    }


async def test_hosts_are_told_with_their_silence(store, make_host) -> None:
    await store.beat(make_host("a", ready=True, current_job="j"))
    await store.beat(make_host("b", ready=False))
    hosts = (await store.figures()).hosts
    assert {name: (host.ready, host.running) for name, host in hosts.items()} == {
        "a": (True, True),
        "b": (False, False),
    }
    assert 0 <= hosts["a"].silence_s < 60
