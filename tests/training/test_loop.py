"""The loop takes every sample once, as Keras' own training would, and stops at no number."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from app.domain.errors import TrainingError
from app.domain.specs import JobSpec
from app.training import loop, models
from app.training.data import Part
from app.workloads import catalogue


def shapes(samples, batch, steps):
    return [chunk.shape for chunk in loop.chunks(np.arange(samples, dtype=np.int32), batch, steps)]


@pytest.mark.parametrize(
    ("samples", "batch", "steps", "expected"),
    [
        (10, 3, 2, [(2, 3), (1, 3), (1, 1)]),
        (10, 5, 16, [(2, 5)]),
        (3, 3, 1, [(1, 3)]),
        (4000, 32, 16, [(16, 32)] * 7 + [(13, 32)]),
    ],
)
def test_chunks(samples, batch, steps, expected):
    assert shapes(samples, batch, steps) == expected
    order = np.random.default_rng(0).permutation(samples).astype(np.int32)
    flat = np.concatenate([chunk.ravel() for chunk in loop.chunks(order, batch, steps)])
    assert np.array_equal(flat, order)


def small_model():
    keras.utils.set_random_seed(0)
    spec = JobSpec.model_validate(
        {
            "model_type": "attention",
            "size": "tiny",
            "dataset": {"name": "synthetic", "shape": [4, 3], "classes": 3},
        }
    )
    return models.build(catalogue.plan(spec))


def small_data(samples=23):
    random = np.random.default_rng(1)
    x = random.normal(size=(samples, 4, 3)).astype(np.float32)
    return Part(x, (np.arange(samples) % 3).astype(np.int32))


def every_kind_of_variable():
    """Weights, moving values, and the state of a generator of random numbers."""
    return keras.Sequential(
        [
            keras.Input((4, 3)),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5, seed=1),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_step_that_is_put_back_leaves_no_trace(jit_compile):
    model, optimizer = every_kind_of_variable(), keras.optimizers.Adam(0.01)
    data = loop.tensors(small_data())
    step = loop.training_step(model, optimizer)
    graph = loop.compiled(step, data, jit_compile=jit_compile)
    variables = [*model.variables, *optimizer.variables]
    before = [variable.numpy() for variable in variables]
    with loop.put_back(variables):
        list(loop.gathered(graph, data, [np.zeros((1, size), np.int32) for size in (3, 5)]))
        moved = [not np.array_equal(a, b.numpy()) for a, b in zip(before, variables, strict=True)]
        still = [variable.path for variable, has in zip(variables, moved, strict=True) if not has]
        assert all("learning_rate" in path or "beta" in path for path in still), still
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(before, variables, strict=True))


def test_one_trace_serves_every_chunk():
    model, calls = small_model(), []
    inner = loop.evaluation_step(model)

    def counted(x, y):
        calls.append(x.shape)
        return inner(x, y)

    data = loop.tensors(small_data())
    graph = loop.compiled(counted, data)
    list(loop.gathered(graph, data, [np.zeros((1, 5), np.int32)]))
    traced = len(calls)
    loop.total(loop.gathered(graph, data, loop.chunks(np.arange(23, dtype=np.int32), 5, 2)))
    loop.total(
        loop.gathered(graph, loop.tensors(small_data(7)), iter([np.zeros((1, 3), np.int32)]))
    )
    assert len(calls) == traced


def test_a_stream_takes_the_same_steps_as_memory():
    data, order = loop.tensors(small_data()), np.random.default_rng(2).permutation(23)
    rows = list(loop.chunks(order.astype(np.int32), 5, 2))
    models_, scores = [small_model(), small_model()], []
    for model, compiled, feed in (
        (models_[0], lambda step: loop.compiled(step, data), loop.gathered),
        (models_[1], loop.compiled_stream, loop.streamed),
    ):
        graph = compiled(loop.training_step(model, keras.optimizers.Adam(0.01)))
        scores.append([loop.total(feed(graph, data, rows)) for _ in range(2)])
    assert scores[0] == scores[1]
    for a, b in zip(models_[0].get_weights(), models_[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("steps", [1, 3, 16])
def test_it_trains_as_keras_does(steps):
    part, order = small_data(), np.random.default_rng(2).permutation(23).astype(np.int32)
    ours, reference = small_model(), small_model()
    data = loop.tensors(part)
    graph = loop.compiled(loop.training_step(ours, keras.optimizers.Adam(0.01)), data)
    score = loop.total(loop.gathered(graph, data, loop.chunks(order, 5, steps)))

    reference.compile(
        keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    told = reference.fit(part.x[order], part.y[order], batch_size=5, shuffle=False, verbose=0)
    for a, b in zip(ours.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert score.loss == pytest.approx(told.history["loss"][0], rel=1e-4)
    assert score.accuracy == pytest.approx(told.history["accuracy"][0], abs=1e-6)


def test_it_evaluates_as_keras_does():
    part, model = small_data(), small_model()
    data = loop.tensors(part)
    graph = loop.compiled(loop.evaluation_step(model), data)
    score = loop.total(
        loop.gathered(graph, data, loop.chunks(np.arange(23, dtype=np.int32), 10, 4))
    )
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    loss, accuracy = model.evaluate(part.x, part.y, verbose=0)
    assert (score.loss, score.accuracy) == pytest.approx((loss, accuracy), rel=1e-4)


def test_done_hears_of_the_steps_of_each_chunk():
    data, heard = loop.tensors(small_data()), []
    graph = loop.compiled(loop.evaluation_step(small_model()), data)
    loop.total(
        loop.gathered(graph, data, loop.chunks(np.arange(23, dtype=np.int32), 5, 3)), heard.append
    )
    assert heard == [3, 1, 1]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_training(value):
    data = loop.tensors(small_data())

    def broken(x, y):
        return tf.constant(value), tf.constant(0, tf.int64)

    graph = loop.compiled(broken, data)
    with pytest.raises(TrainingError, match=f"the loss became {value}; expected") as error:
        loop.total(loop.gathered(graph, data, loop.chunks(np.arange(23, dtype=np.int32), 5, 3)))
    assert error.value.code == "diverged"
