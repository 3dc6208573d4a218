"""How two jobs compare, over HTTP and through the client."""

import pytest

from app.bootstrap import make_api
from app.client import Client
from app.domain.errors import NotFoundError, SpecError, StateError
from app.domain.jobs import JobError
from app.domain.posted import Ended
from app.settings import Settings


@pytest.fixture
def client(database_url, tmp_path, serving):
    settings = Settings(database_url=database_url, data_dir=tmp_path)
    with serving(make_api(settings)) as url, Client(url) as opened:
        yield opened


@pytest.fixture
def twice(make_posted):
    """A training, and the same at twice the pace."""
    posted = make_posted(seed=1)
    halved = [
        r.model_copy(update={"t_s": r.t_s / 2, "ram_j": r.ram_j / 2})
        for r in posted.readings.readings
    ]
    quick = posted.readings.model_copy(update={"readings": tuple(halved)})
    return posted, make_posted(seed=2).model_copy(update={"readings": quick})


def test_the_verdict_with_its_figures_and_sentences(client, twice):
    a, b = (client.post_report(one).job_id for one in twice)
    found = client.compare(a, b)
    assert (found.a, found.b, found.less, found.holds) == ((a,), (b,), "b", "in_all")
    assert found.ratio == pytest.approx(0.5)
    assert found.cancels and found.agreeing == found.scenarios > 1
    assert found.sets["codecarbon"] == pytest.approx(0.5)
    assert set(found.sets) == {"codecarbon", "specpower"}
    assert found.sentences[0].endswith("B used less in all of them.")
    assert found.sentences[-1].startswith("One run of a side does not show")


def test_what_cannot_be_compared(client, twice, make_posted):
    a = client.post_report(twice[0]).job_id
    error = JobError(code="training_error", message="m")
    broken = make_posted().model_copy(update={"ended": Ended(status="failed", error=error)})
    failed = client.post_report(broken).job_id
    queued = client.submit({"model_type": "cnn", "size": "tiny"}).id
    with pytest.raises(SpecError, match="another job than a"):
        client.compare(a, a)
    with pytest.raises(NotFoundError):
        client.compare(a, "nothing")
    for other, status in ((failed, "failed"), (queued, "queued")):
        with pytest.raises(StateError, match=status):
            client.compare(a, other)
    with pytest.raises(SpecError, match="b: "):
        client.call("GET", "/v1/compare", params={"a": a})
    with pytest.raises(SpecError, match="c: "):
        client.call("GET", "/v1/compare", params={"a": a, "b": failed, "c": "1"})


def test_readings_that_cannot_be_accounted_for_again_leave_out_the_sets(client, twice, monkeypatch):
    def gone(*_, **__):
        raise ValueError("of another release")

    a, b = (client.post_report(one).job_id for one in twice)
    monkeypatch.setattr("app.service.evaluation.report", gone)
    found = client.compare(a, b)
    assert (found.sets, found.holds) == ({}, "in_all")
    assert "left out" in found.sentences[-1]
