"""When a report and readings are had."""

import pytest

from app.domain.errors import NotFoundError, StateError
from app.domain.jobs import JobStatus
from app.service import Service
from app.settings import Settings


async def test_a_report_is_had_when_the_job_is_final(make_job, one_job_store):
    assert await Service(one_job_store(make_job(), report=b"{}"), Settings()).report("j") == b"{}"
    with pytest.raises(StateError) as caught:
        await Service(one_job_store(make_job(status=JobStatus.RUNNING)), Settings()).report("j")
    assert caught.value.status == "running"


async def test_readings_that_are_not_there_yet_or_never(make_job, one_job_store):
    waiting = Service(one_job_store(make_job()), Settings())
    over = Service(one_job_store(make_job(status=JobStatus.CANCELLED)), Settings())
    for name in ("readings", "readings_json"):
        with pytest.raises(StateError):
            await getattr(waiting, name)("j")
        with pytest.raises(NotFoundError, match="attempt 2"):
            await getattr(waiting, name)("j", 2)
        with pytest.raises(NotFoundError):
            await getattr(over, name)("j")


async def test_a_report_that_was_asked_for_needs_no_store_again(make_job, one_job_store):
    store = one_job_store(make_job(), report=b"{}")
    service = Service(store, Settings())
    assert await service.report("j") == b"{}"
    store.body = None
    assert await service.report("j") == b"{}"
    with pytest.raises(StateError):  # of another job nothing is known
        await service.report("k")


async def test_that_there_is_no_report_yet_is_asked_anew(make_job, one_job_store):
    store = one_job_store(make_job(status=JobStatus.RUNNING))
    service = Service(store, Settings())
    with pytest.raises(StateError):
        await service.report("j")
    store.body = b"{}"
    assert await service.report("j") == b"{}"
