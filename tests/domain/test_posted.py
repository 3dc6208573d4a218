"""What a training outside of the service sends: which readings hold, and what job they are."""

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from app.domain.jobs import JobError
from app.domain.posted import MOST_READINGS, Ended, PostedReport


def _with(posted, **readings):
    return posted.model_copy(update={"readings": posted.readings.model_copy(update=readings)})


def _fields(posted):
    return {error.field for error in posted.problems()}


def test_what_holds_has_no_problem(make_posted):
    assert make_posted().problems() == ()


def test_the_same_content_is_the_same_job_wherever_it_was_read(make_posted):
    posted = make_posted()
    again = PostedReport.model_validate_json(posted.model_dump_json(exclude_defaults=True))
    assert again == posted
    assert again.job_id == posted.job_id
    assert make_posted(seed=3).job_id != posted.job_id
    assert _with(posted, sample_interval_s=2.0).job_id != posted.job_id


def test_readings_that_do_not_hold(make_posted):
    posted = make_posted()
    items = posted.readings.readings
    assert _fields(_with(posted, readings=items[:1])) == {"readings.readings"}
    assert _fields(_with(posted, readings=items[:1] * (MOST_READINGS + 1))) == {"readings.readings"}
    assert _fields(_with(posted, readings=items[::-1])) == {"readings.readings"}
    assert _fields(_with(posted, attempt=2)) == {"readings.attempt"}
    naive = posted.readings.started_at.replace(tzinfo=None)
    assert _fields(_with(posted, started_at=naive)) == {"readings.started_at"}
    sensed = items[1].model_copy(update={"sensors_j": (1.0,)})
    assert _fields(_with(posted, readings=(items[0], sensed))) == {"readings.readings"}


@pytest.mark.parametrize(
    ("status", "error"),
    [("failed", None), ("succeeded", JobError(code="training_error", message="m"))],
)
def test_an_error_stands_with_a_failure_alone(make_posted, status, error):
    ended = Ended(status=status, error=error)
    assert _fields(make_posted().model_copy(update={"ended": ended})) == {"ended.error"}


def test_numbers_that_no_table_holds(make_posted):
    posted = make_posted(flops_per_sample=10**18)
    assert _fields(posted) == {"training.flops_per_sample"}
    posted = make_posted()
    first, *rest = posted.readings.readings
    for odd in ({"index": 2**63}, {"index": -1}, {"ended": {"samples": 10**13}}):
        odd_one = first.model_copy(update=odd)
        assert _fields(_with(posted, readings=(odd_one, *rest))) == {"readings.readings"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "readings.host.name"),
        ({"name": "x" * 257}, "readings.host.name"),
        ({"host_cpus": 0}, "readings.host.host_cpus"),
        ({"logical_cpus": 10**9}, "readings.host.host_cpus"),
        ({"memory_gib": -1.0}, "readings.host.memory_gib"),
        ({"memory_gib": 1e9}, "readings.host.memory_gib"),
    ],
)
def test_a_host_that_is_none(make_posted, change, field):
    posted = make_posted()
    host = posted.readings.host.model_copy(update=change)
    assert _fields(_with(posted, host=host)) == {field}


def test_a_time_before_there_was_any_of_this(make_posted):
    early = datetime(1, 1, 1, tzinfo=UTC)
    assert _fields(_with(make_posted(), started_at=early)) == {"readings.started_at"}


@pytest.mark.parametrize(
    ("place", "odd", "says"),
    [("os", "x" * 2001, "at most 2,000 characters"), ("memory_gib", 1e19, "at most 1e[+]18")],
)
def test_what_is_longer_or_larger_than_is_needed_is_refused(make_posted, place, odd, says):
    body = json.loads(make_posted().model_dump_json())
    body["readings"]["host"][place] = odd
    with pytest.raises(ValidationError, match=says):
        PostedReport.model_validate(body)


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_a_text_that_cannot_be_stored_is_refused(make_posted, text):
    body = json.loads(make_posted().model_dump_json())
    body["readings"]["host"]["os"] = text
    with pytest.raises(ValidationError, match="Unicode texts without the character"):
        PostedReport.model_validate(body)


@pytest.mark.parametrize("status", ["running", "queued", "timed_out", "lost"])
def test_a_status_that_no_script_ends_in(make_posted, status):
    body = json.loads(make_posted().model_dump_json())
    body["ended"]["status"] = status
    with pytest.raises(ValidationError):
        PostedReport.model_validate(body)
