"""Training by scikit-learn: marks, progress, determinism, threads, and scores counted by hand."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import sklearn
from sklearn.ensemble import RandomForestClassifier
from threadpoolctl import threadpool_info

from app.domain.errors import TrainingError
from app.domain.readings import Phase
from app.domain.specs import JobSpec
from app.training import classical, data, execution
from app.training.course import Course
from app.training.data import Data, Part
from app.workloads import catalogue

SMALL = {"size": "tiny", "epochs": 2, "dataset": {"name": "digits", "samples": 300}}
KINDS = ["svm", "random_forest"]
FLOORS = {"svm": 0.9, "random_forest": 0.9}  # test accuracy on all digits after three epochs
CHANCE = 0.1


def spec_of(model_type, **given):
    return JobSpec.model_validate({"model_type": model_type, **SMALL, **given})


def load(spec, cache_dir):
    return data.load(spec, catalogue.facts(spec), cache_dir)


def run(spec, loaded):
    """The marks of a training, and its progress."""
    marks, progress = [], []
    course = Course(
        spec,
        lambda *mark: marks.append(mark),
        lambda *step: progress.append(step),
        len(loaded.training.y),
    )
    classical.train(spec, execution.resolve(spec), loaded, course)
    return marks, progress


def of(model_type, cache_dir, **given):
    spec = spec_of(model_type, **given)
    return run(spec, load(spec, cache_dir))


def numbers(marks):
    return [
        {name: value for name, value in ended.items() if name != "peak_memory_bytes"}
        for _, _, ended in marks
    ]


@pytest.mark.parametrize("model_type", KINDS)
def test_marks_in_their_order_with_the_facts_of_what_ended(cache_dir, model_type):
    marks, _ = of(model_type, cache_dir)
    assert [(phase, index, set(ended)) for phase, index, ended in marks[1:]] == [
        (Phase.VALIDATION, 0, {"samples"}),
        (Phase.EPOCH, 1, {"validation_accuracy", "validation_loss"}),
        (Phase.VALIDATION, 1, {"samples"}),
        (Phase.EVALUATION, None, {"validation_accuracy", "validation_loss", "stopped_by"}),
        (Phase.END, None, {"test_accuracy", "test_loss", "peak_memory_bytes"}),
    ]
    threads = 1 if model_type == "svm" else len(os.sched_getaffinity(0))
    assert marks[0] == (
        Phase.EPOCH,
        0,
        {"scikit_learn": sklearn.__version__, "threads": threads},
    )
    assert marks[1][2]["samples"] == 300
    json.dumps(marks, allow_nan=False)


@pytest.mark.parametrize("model_type", KINDS)
def test_the_same_spec_gives_the_same_numbers(cache_dir, model_type):
    one, again = (numbers(of(model_type, cache_dir)[0]) for _ in range(2))
    assert one == again
    assert numbers(of(model_type, cache_dir, seed=1)[0])[2] != one[2]


def test_progress_of_the_svm_comes_to_all_samples_of_each_epoch(cache_dir):
    _, progress = of("svm", cache_dir)
    parts = [38, 76, 114, 152, 189, 226, 263, 300]
    assert progress == [(epoch, done, 300) for epoch in range(2) for done in parts]


def test_progress_of_the_forest_comes_to_all_trees_of_each_epoch(cache_dir):
    _, progress = of("random_forest", cache_dir, execution={"threads": 2})
    assert progress == [(epoch, done, 8) for epoch in range(2) for done in (2, 4, 6, 8)]


@pytest.mark.parametrize("threads", [1, 2, 3, 64])
@pytest.mark.parametrize("total", [1, 7, 32, 512])
def test_shares_keep_every_thread_busy_and_sum_to_the_total(threads, total):
    *full, last = classical.shares(total, threads)
    assert sum(full) + last == total
    assert all(some % threads == 0 for some in full)
    assert 0 < last <= max([last, *full])
    assert 1 + len(full) <= 2 * classical.PARTS


@pytest.mark.parametrize("model_type", KINDS)
def test_a_target_ends_it_at_the_epoch_that_reached_it(cache_dir, model_type):
    marks, _ = of(model_type, cache_dir, target_accuracy=1e-9)
    assert [phase for phase, _, _ in marks].count(Phase.EPOCH) == 1
    assert marks[-2][2]["stopped_by"] == "target_accuracy"


def test_patience_ends_it(cache_dir):
    marks, _ = of("random_forest", cache_dir, epochs=50, early_stopping={"patience": 2})
    assert marks[-2][2]["stopped_by"] == "early_stopping"


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_in_force_while_it_trains_and_put_back(cache_dir, monkeypatch, threads):
    seen = []

    class Watched(classical.SupportVectorMachine):
        def run_epoch(self, epoch, progress):
            seen.append((self._model.n_jobs, blas_threads()))
            super().run_epoch(epoch, progress)

    before = blas_threads()
    monkeypatch.setitem(classical.CLASSIFIERS, "svm", Watched)
    marks, _ = of("svm", cache_dir, execution={"threads": threads})
    assert seen == [(threads, {threads})] * 2
    assert marks[0][2]["threads"] == threads
    assert blas_threads() == before


def blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.parametrize("model_type", KINDS)
def test_the_number_of_threads_does_not_change_what_a_small_training_finds(cache_dir, model_type):
    one, two = (
        numbers(of(model_type, cache_dir, execution={"threads": threads})[0])[-1]
        for threads in (1, 2)
    )
    assert one["test_loss"] == pytest.approx(two["test_loss"], rel=0.02)
    assert one["test_accuracy"] == pytest.approx(two["test_accuracy"], abs=0.02)


def test_hinge_score_is_the_loss_that_is_counted_by_hand():
    decisions = np.array([[2.0, -3.0, 0.5], [0.25, 0.5, -2.0]], np.float32)
    # sample 0 of class 0: 0, 0, 1.5; sample 1 of class 0: 0.75, 1.5, 0
    score = classical.hinge_score(decisions, np.array([0, 0], np.int32))
    assert score.loss == pytest.approx((1.5 + 0.75 + 1.5) / 6)
    assert score.accuracy == 0.5


def test_hinge_score_of_two_classes_is_that_of_one_machine():
    decisions = np.array([2.0, -0.5, 0.25, -4.0], np.float32)
    score = classical.hinge_score(decisions, np.array([1, 0, 0, 1], np.int32))
    assert score.loss == pytest.approx((0 + 0.5 + 1.25 + 5) / 4)
    assert score.accuracy == 0.5


def test_log_score_is_the_loss_that_is_counted_by_hand():
    probabilities = np.array([[0.5, 0.5, 0.0], [0.25, 0.75, 0.0], [1.0, 0.0, 0.0]])
    score = classical.log_score(probabilities, np.array([0, 1, 2], np.int32))
    assert score.loss == pytest.approx(-(np.log(0.5) + np.log(0.75) + np.log(1e-7)) / 3)
    assert score.accuracy == pytest.approx(2 / 3)


def test_an_epoch_of_the_svm_is_a_pass_of_hinge_loss_descent_sample_by_sample(cache_dir):
    """Each machine's weights against the same pass in plain NumPy, and its loss from them."""
    spec = spec_of("svm", size={"width": 0.03, "depth": 1}, epochs=1)
    loaded = load(spec, cache_dir)
    model = classical.SupportVectorMachine(spec, execution.resolve(spec), loaded)
    model.run_epoch(0, lambda *_: None)
    training, _, test = classical.mapped(loaded, (31,), spec.seed)
    w, b = descend(training, np.random.default_rng([spec.seed, 4, 0]).permutation(300))
    decisions = test.x @ w.T + b
    signs = np.where(test.y[:, None] == np.arange(10), 1, -1)
    score = model.test()
    assert score.loss == pytest.approx(np.maximum(0, 1 - signs * decisions).mean(), rel=1e-3)
    assert score.accuracy == (decisions.argmax(axis=1) == test.y).mean()


def descend(part, order):
    """One pass of w ← (1 - ηα) w + η y x within the margin, for each class against the rest."""
    w, b = np.zeros((10, part.x.shape[1])), np.zeros(10)
    for row in order:
        x, signs = part.x[row].astype(float), np.where(part.y[row] == np.arange(10), 1, -1)
        inside = signs * (w @ x + b) <= 1
        w *= 1 - 0.001 * classical.DECAY
        w += 0.001 * np.outer(signs * inside, x)
        b += 0.001 * signs * inside
    return w, b


def test_random_features_have_the_kernel_as_their_product():
    random = np.random.default_rng(0)
    x = random.standard_normal((40, 2, 3)).astype(np.float32)
    part = Part(x, np.zeros(40, np.int32))
    rows = x.reshape(40, 6)
    squares = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
    kernel = np.exp(-squares / (6 * rows.var()))
    everything = Data(training=part, validation=part, test=part)
    one, _, _ = classical.mapped(everything, (10_000,), 0)
    assert one.x @ one.x.T / classical.SQUARED_NORM == pytest.approx(kernel, abs=0.06)
    two, _, test = classical.mapped(everything, (2_000, 5_000), 0)
    composed = np.exp(kernel - 1)
    assert two.x @ two.x.T / classical.SQUARED_NORM == pytest.approx(composed, abs=0.15)
    assert np.array_equal(two.x, test.x)


def test_the_forest_is_the_one_that_is_grown_at_once(cache_dir):
    spec = spec_of("random_forest", epochs=3)
    loaded = load(spec, cache_dir)
    marks, _ = run(spec, loaded)
    flat = [part.x.reshape(len(part.x), -1) for part in (loaded.training, loaded.test)]
    forest = RandomForestClassifier(24, max_depth=8, random_state=spec.seed)
    forest.fit(flat[0], loaded.training.y)
    own = forest.predict_proba(flat[1])[np.arange(180), loaded.test.y]
    ended = marks[-1][2]
    assert ended["test_accuracy"] == forest.score(flat[1], loaded.test.y)
    assert ended["test_loss"] == pytest.approx(-np.log(own.clip(1e-7)).mean())


def test_votes_that_are_kept_are_those_of_all_trees(cache_dir):
    spec = spec_of("random_forest")
    loaded = load(spec, cache_dir)
    both = replace(loaded, validation=loaded.test)
    marks, _ = run(spec, both)
    last = marks[-2][2]
    assert last["validation_accuracy"] == marks[-1][2]["test_accuracy"]
    assert last["validation_loss"] == pytest.approx(marks[-1][2]["test_loss"])


@pytest.mark.parametrize("model_type", KINDS)
def test_a_class_without_a_training_sample_costs_loss_and_breaks_nothing(cache_dir, model_type):
    spec = spec_of(model_type, epochs=1)
    loaded = load(spec, cache_dir)
    y = np.where(loaded.training.y == 3, 4, loaded.training.y)
    marks, _ = run(spec, replace(loaded, training=replace(loaded.training, y=y)))
    full, _ = run(spec, loaded)
    assert marks[-1][2]["test_loss"] > full[-1][2]["test_loss"]


@pytest.mark.parametrize(
    "given",
    [
        {"dataset": {"name": "synthetic", "shape": [1], "classes": 2, "samples": 40}},
        {"dataset": {"name": "synthetic", "shape": [3, 4, 2], "classes": 300, "samples": 300}},
        {"size": {"width": 0.01, "depth": 8}},
        {"dataset": {"name": "digits", "samples": 300, "label_noise": 1.0}},
    ],
)
@pytest.mark.parametrize("model_type", KINDS)
@pytest.mark.filterwarnings("ignore:The number of unique classes")  # 300 samples of 300
def test_unusual_shapes_classes_and_sizes_train(cache_dir, model_type, given):
    marks, _ = of(model_type, cache_dir, **given)
    assert marks[-1][0] == Phase.END
    json.dumps(marks, allow_nan=False)


def test_the_largest_learning_rate_keeps_the_numbers_finite(cache_dir):
    marks, _ = of("svm", cache_dir, learning_rate=10)
    json.dumps(marks, allow_nan=False)


@pytest.mark.parametrize("largest", [3.4e38, 1e30])
def test_samples_whose_squares_are_no_numbers_end_as_diverged(cache_dir, largest):
    spec = spec_of("svm")
    loaded = load(spec, cache_dir)
    huge = np.where(loaded.training.x > 0.5, largest, -largest).astype(np.float32)
    with pytest.raises(TrainingError, match="scale your data") as caught:
        run(spec, replace(loaded, training=replace(loaded.training, x=huge)))
    assert caught.value.code == "diverged"


@pytest.mark.parametrize("model_type", KINDS)
def test_it_learns_the_digits_and_nothing_from_shuffled_labels(cache_dir, model_type):
    spec = spec_of(model_type, size="base", epochs=3, dataset={"name": "digits"})
    loaded = load(spec, cache_dir)
    marks, _ = run(spec, loaded)
    assert marks[-1][2]["test_accuracy"] >= FLOORS[model_type]
    y = np.random.default_rng(99).permutation(loaded.training.y)
    marks, _ = run(spec, replace(loaded, training=replace(loaded.training, y=y)))
    assert marks[-1][2]["test_accuracy"] == pytest.approx(CHANCE, abs=0.1)
