"""A plain `model.fit` under marks: the same boundaries, the same learning as our own loop."""

import numpy as np
import pytest

from app.domain.errors import TrainingError
from app.domain.readings import Phase
from app.domain.specs import JobSpec
from app.training import data
from app.training.run import train

SMALL = {
    "model_type": "attention",
    "size": "tiny",
    "epochs": 2,
    "dataset": {"name": "digits", "samples": 300},
    "execution": {"mode": "keras_fit"},
}


def run(cache_dir, **given):
    marks, progress = [], []
    train(
        JobSpec.model_validate(SMALL | given),
        lambda *mark: marks.append(mark),
        lambda *step: progress.append(step),
        cache_dir,
    )
    return marks, progress


def test_the_marks_are_those_of_our_own_loop(cache_dir):
    fit, progress = run(cache_dir)
    ours, _ = run(cache_dir, execution={"mode": "graph"})
    assert [(phase, index, set(ended)) for phase, index, ended in fit] == [
        (phase, index, set(ended)) for phase, index, ended in ours
    ]
    assert fit[0][2]["mode"] == "keras_fit"
    assert (fit[0][2]["steps_per_execution"], fit[0][2]["input_pipeline"]) == (1, "memory")
    assert progress == [(epoch, step, 10) for epoch in range(2) for step in range(1, 11)]


@pytest.mark.parametrize("pipeline", ["memory", "tf_data"])
@pytest.mark.parametrize("model_type", ["cnn", "rnn"])
def test_one_batch_gives_the_loss_and_accuracy_of_our_own_loop(cache_dir, model_type, pipeline):
    """With all samples in one batch the order does not matter."""
    given = {"model_type": model_type, "epochs": 2, "batch_size": 300, "learning_rate": 0.01}
    fit, _ = run(cache_dir, **given, execution={"mode": "keras_fit", "input_pipeline": pipeline})
    ours, _ = run(cache_dir, **given, execution={"mode": "graph"})
    for (_, _, a), (_, _, b) in list(zip(fit, ours, strict=True))[1:]:
        for name in set(a) - {"peak_memory_bytes", "stopped_by"}:
            assert a[name] == pytest.approx(b[name], rel=2e-3, abs=0.007)


def test_the_target_ends_it(cache_dir):
    marks, _ = run(cache_dir, target_accuracy=1e-9)
    assert [phase for phase, _, _ in marks].count(Phase.EPOCH) == 1
    assert marks[-2][2]["stopped_by"] == "target_accuracy"


def test_steps_per_execution_reach_keras(cache_dir):
    execution = {"mode": "keras_fit", "steps_per_execution": 4}
    marks, progress = run(cache_dir, execution=execution)
    assert marks[0][2]["steps_per_execution"] == 4
    assert [step for epoch, step, _ in progress if epoch == 0][-1] == 10
    assert len(progress) == 2 * 3


def test_a_loss_that_is_no_number_ends_it_by_name(cache_dir, monkeypatch):
    load = data.load

    def spoilt(spec, facts, cache):
        loaded = load(spec, facts, cache)
        loaded.training.x[:] = np.inf
        return loaded

    monkeypatch.setattr(data, "load", spoilt)
    with pytest.raises(TrainingError, match="the loss became nan") as error:
        run(cache_dir)
    assert error.value.code == "diverged"
