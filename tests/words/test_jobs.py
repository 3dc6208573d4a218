"""Where a job stands, in words."""

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.external import ExternalTraining
from app.domain.jobs import Job, JobError, JobStatus, Progress, Stage
from app.domain.specs import JobSpec
from app.words import jobs as words
from app.words.jobs import ago, says
from app.workloads.catalogue import OWN

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


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (QUEUED, "queued, position 2"),
        (changed(queue_position=None), "queued"),
        (changed(status=JobStatus.RUNNING), "starting"),
        (changed(status=JobStatus.RUNNING, stage=Stage.EVALUATING), "evaluating on the test set"),
        (training(0, 5), "training, epoch 1 of 3"),
        (training(3, 0), "training, epoch 3 of 3"),
        (training(1, 5).model_copy(update={"attempt": 2}), "training, epoch 2 of 3 (attempt 2)"),
        (DONE, "succeeded after 20.1 s"),
        (FAILED, "budget exhausted: too much [energy]"),
    ],
)
def test_where_a_job_stands(job, words):
    assert says(job) == words


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"model_type": "cnn"}, "cnn base on mnist5k, 3 epochs, batches of 32, seed 0"),
        ({"model_type": "svm", "epochs": 1}, "svm base on mnist5k, 1 epoch, seed 0"),
        ({"model_type": "random_forest"}, "random_forest base on mnist5k, 3 epochs, seed 0"),
        (
            {"model_type": "keras", "architecture": {"config": {"name": "small_net"}}},
            "keras (small_net) on mnist5k, 3 epochs, batches of 32, seed 0",
        ),
    ],
)
def test_what_is_trained(spec, text):
    assert words.training(JobSpec(**spec)) == text


def test_what_has_no_batches_is_what_scikit_learn_trains():
    names = {name for name, family in OWN.items() if family.trainer == "scikit-learn"}
    assert names == words.WITHOUT_BATCHES


@pytest.mark.parametrize(
    "architecture",
    [
        None,
        {},
        {"config": None},
        {"config": []},
        {"config": {}},
        {"config": {"name": 7}},
        {"config": {"name": " \n"}},
    ],
)
def test_a_model_of_a_user_s_without_a_name_has_no_size_either(architecture):
    assert words.model(JobSpec(model_type="keras", architecture=architecture)) == "keras"


def test_the_name_of_a_user_s_model_is_cut_and_printable():
    named = {"config": {"name": "\x1b[31m\u202e" + "a" * 100}}
    told = words.model(JobSpec(model_type="keras", architecture=named))
    assert told == f"keras ([31m{'a' * 36})"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s ago"), (42, "42 s ago"), (60, "1 min ago"), (7200, "2 h ago"), (200_000, "2 d ago")],
)
def test_how_long_ago(seconds, text):
    assert ago(datetime.now(UTC) - timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "external (my net)"),
        ({"dataset": "mine", "epochs": 1}, "external (my net) on mine, 1 epoch"),
        ({"batch_size": 8, "seed": 0}, "external (my net), batches of 8, seed 0"),
    ],
)
def test_a_training_outside_of_the_service_says_what_was_told(told, said):
    assert words.training(ExternalTraining(name="my net", **told)) == said
