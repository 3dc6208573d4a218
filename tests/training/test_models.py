"""What Keras builds is what the arithmetic says: layers, shapes, parameters, FLOPs."""

from math import prod

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.specs import JobSpec
from app.training import models
from app.workloads import catalogue

MODEL_TYPES = ["cnn", "rnn", "attention"]
SIZES = ["tiny", "small", "base", "medium", "large"]


def plan(**given):
    return catalogue.plan(JobSpec.model_validate(given))


def assert_same(layers, model):
    """Every layer has the shape and the parameters that the arithmetic gives it."""
    built = [
        (layer.name, tuple(layer.output.shape[1:]), layer.count_params()) for layer in model.layers
    ]
    expected = [(layer.name, layer.output_shape, layer.parameters) for layer in layers]
    assert sorted(built) == sorted(expected)
    assert model.count_params() == sum(layer.parameters for layer in layers)
    assert len(model.layers) - 1 == catalogue.count(layers)


@pytest.mark.parametrize("dataset", ["mnist5k", "digits", "synthetic"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_every_size_on_every_data_set(model_type, size, dataset):
    layers = plan(model_type=model_type, size=size, dataset={"name": dataset})
    assert_same(layers, models.build(layers))


@given(
    model_type=st.sampled_from(MODEL_TYPES),
    width=st.floats(min_value=0.01, max_value=0.6),
    depth=st.integers(min_value=1, max_value=4),
    shape=st.tuples(st.integers(10, 40), st.integers(10, 40)),
    classes=st.integers(min_value=2, max_value=30),
)
@settings(deadline=None, max_examples=30)
def test_any_width_depth_and_shape(model_type, width, depth, shape, classes):
    dataset = {"name": "synthetic", "shape": shape, "classes": classes}
    layers = plan(model_type=model_type, size={"width": width, "depth": depth}, dataset=dataset)
    assert_same(layers, models.build(layers))


def test_images_with_channels():
    dataset = {"name": "synthetic", "shape": [17, 10, 3], "classes": 4}
    layers = plan(model_type="cnn", size={"width": 0.3, "depth": 2}, dataset=dataset)
    assert_same(layers, models.build(layers))


@pytest.mark.parametrize("depth", [1, 3])
def test_attention_weights_sum_to_one_over_time(depth):
    model = models.build(
        plan(
            model_type="attention",
            size={"width": 1, "depth": depth},
            dataset={"name": "synthetic", "shape": [20, 5]},
        )
    )
    inner = keras.Model(
        model.input, [model.get_layer(name).output for name in ("weights", "s", "context")]
    )
    x = np.random.default_rng(0).normal(size=(7, 20, 5)).astype(np.float32)
    weights, s, context = (np.asarray(value) for value in inner(x))
    assert weights.shape == (7, 20, 1)
    assert (weights > 0).all()
    assert weights.std(axis=1).min() > 0.001  # not all steps weigh the same
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(context, (weights * s).sum(axis=1, keepdims=True), atol=1e-5)


def test_loss_and_hits_of_a_sequence():
    labels = tf.constant([0, 1])
    steps = [[[0.5, 0.5], [0.9, 0.1]], [[0.25, 0.75], [0.6, 0.4]]]
    losses = np.asarray(models.losses(labels, tf.constant(steps)))
    np.testing.assert_allclose(
        losses, [-np.log([0.5, 0.9]).mean(), -np.log([0.75, 0.4]).mean()], rtol=1e-5
    )
    assert int(models.hits(labels, tf.constant(steps))) == 1  # the last step of the first alone


def test_loss_and_hits_of_a_single_answer():
    labels = tf.constant([0, 1, 1])
    answers = tf.constant([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    np.testing.assert_allclose(
        np.asarray(models.losses(labels, answers)), -np.log([0.9, 0.8, 0.3]), rtol=1e-5
    )
    assert int(models.hits(labels, answers)) == 2


# -- FLOPs: a walk over the traced gradient step --------------------------------------------------


def traced_flops(layers, *, unroll=False):
    """FLOPs of one sample's gradient step, of the ops that its outputs need."""
    model = models.build(layers)
    for layer in model.layers:
        if unroll and isinstance(layer, keras.layers.LSTM):
            layer.unroll = True

    def gradients(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(models.losses(y, model(x, training=True)))
        return tape.gradient(loss, model.trainable_variables)

    signature = [
        tf.TensorSpec([1, *layers[0].output_shape], tf.float32),
        tf.TensorSpec([1], tf.int32),
    ]
    graph = tf.function(gradients, input_signature=signature, autograph=False)
    return sum(op_flops(op) for op in reachable(graph.get_concrete_function().graph.outputs))


def reachable(outputs):
    waiting, seen = [tensor.op for tensor in outputs], set()
    while waiting:
        op = waiting.pop()
        if op not in seen:
            seen.add(op)
            waiting += [tensor.op for tensor in op.inputs]
    return seen


def op_flops(op):
    if op.type in {"MatMul", "BatchMatMulV2"}:
        attribute = "transpose_a" if op.type == "MatMul" else "adj_x"
        summed = op.inputs[0].shape[-2 if op.get_attr(attribute) else -1]
        return 2 * prod(op.outputs[0].shape) * summed
    if op.type == "Conv2D":
        height, width, channels, _ = op.inputs[1].shape
        return 2 * prod(op.outputs[0].shape) * height * width * channels
    if op.type == "Conv2DBackpropInput":
        height, width, channels, _ = op.inputs[1].shape
        return 2 * prod(op.inputs[2].shape) * height * width * channels
    if op.type == "Conv2DBackpropFilter":
        height, width, channels, _ = op.outputs[0].shape
        return 2 * prod(op.inputs[2].shape) * height * width * channels
    return 0


def extrapolated_flops(steps, **given):
    """Of a recurrent model: unrolled at two and three steps, then linear in the steps."""

    def at(count):
        dataset = {"name": "synthetic", "shape": [count, 10]}
        return traced_flops(plan(model_type="rnn", dataset=dataset, **given), unroll=True)

    two, three = at(2), at(3)
    return two + (steps - 2) * (three - two)


def test_flops_of_the_base_cnn():
    layers = plan(model_type="cnn")
    assert catalogue.flops(layers) == pytest.approx(15_396_864, rel=0.01)
    assert traced_flops(layers) == pytest.approx(catalogue.flops(layers), rel=0.01)


def test_flops_of_the_base_attention():
    layers = plan(model_type="attention", dataset={"name": "synthetic"})
    assert catalogue.flops(layers) == pytest.approx(631_040, rel=0.01)
    assert traced_flops(layers) == pytest.approx(catalogue.flops(layers), rel=0.01)


def test_flops_of_the_base_rnn():
    layers = plan(model_type="rnn", dataset={"name": "synthetic"})
    assert catalogue.flops(layers) == pytest.approx(11_238_400, rel=0.01)
    assert extrapolated_flops(100) == pytest.approx(catalogue.flops(layers), rel=0.01)


@pytest.mark.parametrize("model_type", ["cnn", "attention"])
def test_flops_of_a_deeper_model(model_type):
    layers = plan(model_type=model_type, size={"width": 0.5, "depth": 3})
    assert traced_flops(layers) == pytest.approx(catalogue.flops(layers), rel=0.01)


def test_flops_of_a_deeper_rnn():
    size = {"width": 0.5, "depth": 2}
    layers = plan(model_type="rnn", size=size, dataset={"name": "synthetic"})
    assert extrapolated_flops(100, size=size) == pytest.approx(catalogue.flops(layers), rel=0.015)
