"""Where a job stands, in words, and a job followed to its end."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from app.cli import watch
from app.domain.errors import NotFoundError, UnavailableError
from app.domain.jobs import Job, JobError, JobStatus, Progress, Stage
from app.domain.specs import JobSpec
from app.words.jobs import says

NOW = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
QUEUED = Job(
    id="job-1",
    status=JobStatus.QUEUED,
    stage=None,
    spec=JobSpec(model_type="cnn"),
    spec_sha256="00",
    progress=None,
    queue_position=2,
    host=None,
    attempt=0,
    created_at=NOW,
    started_at=None,
    finished_at=None,
    error=None,
)


def changed(**changes):
    return QUEUED.model_copy(update=changes)


def training(epoch, step, **changes):
    progress = Progress(epoch=epoch, epochs=3, step=step, steps=10, eta_s=4.2)
    running = {"status": JobStatus.RUNNING, "stage": Stage.TRAINING, "attempt": 1}
    return changed(**running, progress=progress, **changes)


DONE = changed(
    status=JobStatus.SUCCEEDED, started_at=NOW, finished_at=NOW + timedelta(seconds=20.1)
)
FAILED = changed(
    status=JobStatus.BUDGET_EXHAUSTED, error=JobError(code="x", message="too much [energy]")
)


class Told:
    """A client whose answers are known beforehand."""

    def __init__(self, *answers):
        self.answers = iter(answers)
        self.known = ()

    def hosts(self):
        return self.known

    def get(self, job_id):
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(watch, "POLL_S", 0.001)


def follow(*answers, terminal=False):
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, highlight=False)
    return watch.follow(Told(*answers), "job-1", console), out.getvalue()


def test_elsewhere_than_on_a_terminal_each_change_has_one_line():
    told = [QUEUED, QUEUED, training(0, 1), training(0, 9), training(1, 2), FAILED]
    job, text = follow(*told)
    assert job == FAILED
    assert text.splitlines() == [
        "queued, position 2",
        "training, epoch 1 of 3",
        "training, epoch 2 of 3",
        "budget exhausted: too much [energy]",
    ]


def test_a_terminal_has_a_bar_with_the_time_left():
    job, text = follow(QUEUED, training(1, 5), DONE, terminal=True)
    assert job == DONE
    assert "succeeded after 20.1 s" in text
    assert "━" in text


def test_a_service_that_starts_again_is_waited_for():
    job, text = follow(QUEUED, UnavailableError("away"), UnavailableError("away"), DONE)
    assert (job, text.splitlines()[-1]) == (DONE, "succeeded after 20.1 s")


def test_a_service_that_stays_away_is_told(monkeypatch):
    monkeypatch.setattr(watch, "PATIENCE_S", 0.0)
    with pytest.raises(UnavailableError):
        follow(QUEUED, UnavailableError("away"), UnavailableError("away"))


def test_a_label_that_no_known_worker_takes_is_told(make_host):
    client = Told()
    labelled = changed(
        spec=JobSpec(model_type="cnn", placement={"labels": ["gpu"]}), queue_position=1
    )
    why = watch.stuck(client, labelled)
    assert says(labelled, stuck=why) == ("queued, position 1: no known worker takes the label gpu")
    client.known = (make_host(labels=("gpu",)),)
    assert watch.stuck(client, labelled) == ""
    assert watch.stuck(Told(), QUEUED) == ""


def test_patience_has_an_end():
    out = Console(file=io.StringIO())
    assert watch.follow(Told(QUEUED), "job-1", out, patience_s=-1) == QUEUED


def test_an_unknown_job_is_told():
    with pytest.raises(NotFoundError):
        follow(NotFoundError("none"))
