"""A training from spec to test accuracy: marks, progress, determinism, and what it learns."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from app.domain.errors import SpecError, TrainingError
from app.domain.readings import Phase
from app.domain.specs import JobSpec
from app.training import data
from app.training.run import train
from app.workloads import catalogue

SMALL = {
    "model_type": "attention",
    "size": "tiny",
    "epochs": 2,
    "dataset": {"name": "digits", "samples": 300},
}
DIGITS = {"name": "digits"}
LEARNS = {  # what is trained, and the least test accuracy of three seeds
    "cnn": ({"epochs": 5}, 0.95),
    "rnn": ({"epochs": 5}, 0.6),
    "attention": ({"epochs": 8}, 0.4),
    "gru": ({"epochs": 8, "dataset": DIGITS}, 0.55),
    "mlp": ({"epochs": 5, "dataset": DIGITS}, 0.93),
    "transformer": ({"epochs": 5, "dataset": DIGITS, "size": "small"}, 0.85),
    "resnet": ({"epochs": 8, "dataset": DIGITS, "size": "tiny"}, 0.75),
    "svm": ({"epochs": 3, "dataset": DIGITS}, 0.93),
    "random_forest": ({"epochs": 3, "dataset": DIGITS}, 0.92),
}
FORGETS = ["cnn", "rnn", "attention", "svm"]  # those that are tried on shuffled labels
CHANCE = 0.1


def run(cache_dir, **given):
    """The marks of a training, and its progress."""
    marks, progress = [], []
    train(
        JobSpec.model_validate(given),
        lambda phase, index, ended: marks.append((phase, index, ended)),
        lambda epoch, step, steps: progress.append((epoch, step, steps)),
        cache_dir,
    )
    return marks, progress


def accuracy(cache_dir, **given):
    marks, _ = run(cache_dir, **given)
    return marks[-1][2]["test_accuracy"]


def test_marks_in_their_order_with_the_facts_of_what_ended(cache_dir):
    marks, _ = run(cache_dir, **SMALL)
    assert [(phase, index, set(ended)) for phase, index, ended in marks[1:]] == [
        (Phase.VALIDATION, 0, {"samples", "loss", "train_accuracy"}),
        (Phase.EPOCH, 1, {"validation_accuracy", "validation_loss"}),
        (Phase.VALIDATION, 1, {"samples", "loss", "train_accuracy"}),
        (Phase.EVALUATION, None, {"validation_accuracy", "validation_loss", "stopped_by"}),
        (Phase.END, None, {"test_accuracy", "test_loss", "peak_memory_bytes"}),
    ]
    phase, index, setup = marks[0]
    assert (phase, index) == (Phase.EPOCH, 0)
    assert setup == {
        "tensorflow": tf.__version__,
        "threads": 1,  # of a tiny model
        "mode": "graph",
        "precision": "float32",
        "jit_compile": False,
        "steps_per_execution": 64,
        "input_pipeline": "memory",
    }
    assert marks[1][2]["samples"] == 300
    assert marks[-1][2]["peak_memory_bytes"] > 100_000_000
    json.dumps(marks, allow_nan=False)


@pytest.mark.parametrize(("target", "epochs"), [(1e-9, 1), (1.0, 2)])
def test_a_target_ends_it_at_the_epoch_that_reached_it(cache_dir, target, epochs):
    marks, _ = run(cache_dir, **SMALL, target_accuracy=target)
    trained = [index for phase, index, _ in marks if phase == Phase.EPOCH]
    assert trained == list(range(epochs))
    phase, _, ended = marks[-2]
    assert phase == Phase.EVALUATION
    assert (ended["validation_accuracy"] >= target) is (target < 1)
    assert marks[-1][2]["test_accuracy"] is not None


def test_progress_comes_to_all_steps_of_each_epoch(cache_dir):
    _, progress = run(
        cache_dir, **{**SMALL, "batch_size": 32, "execution": {"steps_per_execution": 4}}
    )
    assert progress == [
        (epoch, step, 10) for epoch in range(2) for step in (4, 8, 9, 10)
    ]  # 9 whole batches and one of 12


def test_the_same_spec_gives_the_same_numbers(cache_dir):
    for model_type in LEARNS:
        spec = {**SMALL, "model_type": model_type}
        one, again = run(cache_dir, **spec)[0], run(cache_dir, **spec)[0]
        one[-1][2].pop("peak_memory_bytes")
        again[-1][2].pop("peak_memory_bytes")
        assert one == again
        assert run(cache_dir, **{**spec, "seed": 1})[0][2] != one[2]


def test_steps_per_execution_do_not_change_the_result(cache_dir):
    def losses(steps):
        marks, _ = run(cache_dir, **SMALL, execution={"steps_per_execution": steps})
        assert marks[0][2]["steps_per_execution"] == steps
        return [ended["loss"] for phase, _, ended in marks if phase == Phase.VALIDATION]

    assert losses(1) == pytest.approx(losses(1000), rel=1e-4)


@pytest.mark.parametrize(
    "given",
    [
        {"model_type": "cnn", "dataset": {"name": "synthetic", "shape": [12, 11, 3]}},
        {"model_type": "rnn", "dataset": {"name": "synthetic", "shape": [1, 1], "classes": 2}},
        {"model_type": "attention", "size": {"width": 0.1, "depth": 3}},
        {"model_type": "rnn", "size": {"width": 0.1, "depth": 3}},
        {"model_type": "cnn", "size": {"width": 0.1, "depth": 3}, "batch_size": 50},
    ],
)
def test_unusual_shapes_and_sizes_train(given, cache_dir):
    dataset = {**given.get("dataset", {}), "samples": 50}
    marks, _ = run(cache_dir, **{"epochs": 1, "size": "tiny", **given, "dataset": dataset})
    assert marks[-1][0] == Phase.END


def test_a_loss_that_is_no_number_ends_the_training_by_name(cache_dir, monkeypatch):
    load = data.load

    def spoilt(spec, facts, cache):
        loaded = load(spec, facts, cache)
        x = np.full_like(loaded.training.x, np.inf)
        return replace(loaded, training=replace(loaded.training, x=x))

    monkeypatch.setattr(data, "load", spoilt)
    with pytest.raises(TrainingError, match="the loss became nan") as error:
        run(cache_dir, **SMALL)
    assert error.value.code == "diverged"


def test_a_spec_that_cannot_be_trained_is_refused_before_any_mark(cache_dir):
    with pytest.raises(SpecError, match="batch_size"):
        run(cache_dir, **{**SMALL, "batch_size": 301})


@pytest.mark.slow
@pytest.mark.parametrize("model_type", LEARNS)
def test_it_learns_the_digits(model_type, cache_dir, capsys):
    given, floor = LEARNS[model_type]
    found = accuracy(cache_dir, model_type=model_type, **given, seed=0)
    with capsys.disabled():
        print(f"\n{model_type}: {given}, test accuracy: {found}")  # noqa: T201
    assert found >= floor


@pytest.mark.slow
@pytest.mark.parametrize("model_type", FORGETS)
def test_from_shuffled_labels_it_learns_nothing(model_type, cache_dir, monkeypatch, capsys):
    load = data.load

    def shuffled(spec, facts, cache):
        loaded = load(spec, facts, cache)
        y = np.random.default_rng([spec.seed, 99]).permutation(loaded.training.y)
        return replace(loaded, training=replace(loaded.training, y=y))

    monkeypatch.setattr(data, "load", shuffled)
    given, _ = LEARNS[model_type]
    given = {**given, "epochs": 3}
    found = [accuracy(cache_dir, model_type=model_type, **given, seed=s) for s in range(3)]
    with capsys.disabled():
        print(f"\n{model_type}: shuffled labels, test accuracies: {found}")  # noqa: T201
    # the mean of 3 × 500 answers at chance has a standard deviation of 0.008; the answers of one
    # model hang together, so five times that is allowed
    assert sum(found) / len(found) == pytest.approx(CHANCE, abs=0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="children are forked on Linux alone")
def test_a_preloaded_child_honours_threads_and_needs_about_the_estimated_memory(cache_dir):
    spec = {"model_type": "cnn", "epochs": 1, "execution": {"threads": 1}, "batch_size": 500}
    done = subprocess.run(
        [
            sys.executable,
            Path(__file__).with_name("preloaded_child.py"),
            cache_dir,
            json.dumps(spec),
        ],
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    told = json.loads(done.stdout)
    assert (told["preloaded"], told["server_threads"]) == (True, 1)
    assert (told["threads"], told["intra"], told["inter"]) == (1, 1, 1)
    estimate = catalogue.facts(JobSpec.model_validate(spec)).memory_bytes
    assert 1 / 1.35 < told["peak_memory_bytes"] / estimate < 1.35
    assert math.isfinite(told["test_loss"])
