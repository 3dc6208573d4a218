"""What Keras builds is what the arithmetic says: layers, shapes, parameters, FLOPs."""

from math import prod

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.specs import JobSpec
from app.training import loop, models
from app.workloads import catalogue

MODEL_TYPES = ["cnn", "rnn", "attention", "gru", "mlp", "transformer", "resnet"]
DEEP = {"transformer", "resnet"}  # their largest take seconds to build
SIZES = ["tiny", "small", "base", "medium", "large"]


def plan(**given):
    return catalogue.plan(JobSpec.model_validate(given))


def assert_same(layers, model):
    """Every layer has the shape and the parameters that the arithmetic gives it."""
    built = [
        (
            layer.name,
            tuple(layer.output.shape[1:]),
            values(layer.trainable_weights),
            values(layer.non_trainable_weights),
        )
        for layer in model.layers
    ]
    expected = [
        (layer.name, layer.output_shape, layer.parameters, moving_values(layer)) for layer in layers
    ]
    assert sorted(built) == sorted(expected)
    assert values(model.trainable_weights) == catalogue.parameters(layers)
    assert len(model.layers) - 1 == catalogue.count(layers)


def values(weights):
    return sum(prod(weight.shape) for weight in weights)


def moving_values(layer):
    """A mean and a variance for each scale and shift."""
    return layer.parameters if layer.kind == "BatchNormalization" else 0


@pytest.mark.parametrize("dataset", ["mnist5k", "synthetic"])  # digits have the shape of mnist5k
@pytest.mark.parametrize(
    ("model_type", "size"),
    [
        (model_type, size)
        for model_type in MODEL_TYPES
        for size in SIZES
        if not (model_type in DEEP and size == "large")
    ],
)
def test_every_size_on_every_data_set(model_type, size, dataset):
    layers = plan(model_type=model_type, size=size, dataset={"name": dataset})
    assert_same(layers, models.build(layers))


@pytest.mark.parametrize("model_type", sorted(DEEP))
def test_the_largest_of_the_deep_ones(model_type):
    layers = plan(model_type=model_type, size="large", dataset={"name": "digits"})
    assert_same(layers, models.build(layers))


@given(
    model_type=st.sampled_from(MODEL_TYPES),
    width=st.floats(min_value=0.01, max_value=0.6),
    depth=st.integers(min_value=1, max_value=4),
    shape=st.tuples(st.integers(10, 40), st.integers(10, 40)),
    classes=st.integers(min_value=2, max_value=30),
)
@settings(deadline=None, max_examples=50)
def test_any_width_depth_and_shape(model_type, width, depth, shape, classes):
    dataset = {"name": "synthetic", "shape": shape, "classes": classes}
    layers = plan(model_type=model_type, size={"width": width, "depth": depth}, dataset=dataset)
    assert_same(layers, models.build(layers))


@pytest.mark.parametrize("model_type", ["cnn", "mlp", "resnet"])
def test_images_with_channels(model_type):
    dataset = {"name": "synthetic", "shape": [17, 10, 3], "classes": 4}
    layers = plan(model_type=model_type, size={"width": 0.3, "depth": 2}, dataset=dataset)
    assert_same(layers, models.build(layers))


@pytest.mark.parametrize(
    ("model_type", "shape"),
    [
        ("mlp", [7]),
        ("mlp", [1, 1, 1]),
        ("gru", [1, 1]),
        ("transformer", [1, 1]),
        ("resnet", [4, 5]),
        ("resnet", [5, 4, 2]),
    ],
)
def test_the_smallest_shapes(model_type, shape):
    size = {"width": 0.01, "depth": 1}
    layers = plan(model_type=model_type, size=size, dataset={"name": "synthetic", "shape": shape})
    model = models.build(layers)
    assert_same(layers, model)
    answers = np.asarray(model(np.zeros((3, *layers[0].output_shape), np.float32)))
    np.testing.assert_allclose(answers.sum(axis=-1), 1, rtol=1e-5)


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


def test_sines_are_those_of_the_paper():
    table = models.sines(50, 6)
    for step in (0, 1, 49):
        for i in range(3):
            angle = step / 10_000 ** (2 * i / 6)
            assert table[step, 2 * i] == pytest.approx(np.sin(angle), abs=1e-6)
            assert table[step, 2 * i + 1] == pytest.approx(np.cos(angle), abs=1e-6)


def test_positions_are_added_to_every_sequence():
    x = np.random.default_rng(0).normal(size=(3, 20, 8)).astype(np.float32)
    added = models.SinePositionEncoding()(x)
    np.testing.assert_allclose(added, x + models.sines(20, 8), rtol=1e-6)


def test_a_transformer_knows_the_order_of_the_steps():
    layers = plan(
        model_type="transformer",
        size="tiny",
        dataset={"name": "synthetic", "shape": [20, 5]},
    )
    model = models.build(layers)
    x = np.random.default_rng(0).normal(size=(3, 20, 5)).astype(np.float32)
    assert np.abs(np.asarray(model(x)) - np.asarray(model(x[:, ::-1]))).max() > 1e-3


def test_heads_attend_with_scaled_products_of_all_steps():
    layers = plan(
        model_type="transformer",
        size="tiny",
        dataset={"name": "synthetic", "shape": [20, 5]},
    )
    model = models.build(layers)
    layer = model.get_layer("attention1")
    inner = keras.Model(model.input, [model.get_layer("positions").output, layer.output])
    x, found = inner(np.random.default_rng(0).normal(size=(3, 20, 5)).astype(np.float32))
    x = np.asarray(x)
    query, key, value = (
        np.einsum("btf,fhd->bhtd", x, np.asarray(part.kernel))
        for part in (layer.query_dense, layer.key_dense, layer.value_dense)
    )
    assert query.shape == (3, 4, 20, 8)  # biases are 0 at first
    scores = np.exp(query @ key.swapaxes(2, 3) / np.sqrt(8))
    heads = scores / scores.sum(axis=-1, keepdims=True) @ value
    expected = np.einsum("bhtd,hdf->btf", heads, np.asarray(layer.output_dense.kernel))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def tiny_resnet():
    shape = {"name": "synthetic", "shape": [8, 8]}
    model = models.build(plan(model_type="resnet", size="tiny", dataset=shape))
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(1, 2, (40, 8, 8, 1)), tf.float32)
    return model, loop.Tensors(x, tf.constant(random.integers(0, 10, 40), tf.int32))


def test_a_step_of_the_loop_moves_the_statistics_by_a_tenth():
    model, data = tiny_resnet()
    norm = model.get_layer("entry_norm")
    convolved = np.asarray(keras.Model(model.input, norm.input)(data.x))
    step = loop.training_step(model, keras.optimizers.Adam())
    loop.compiled(step, data)(data.x, data.y, np.arange(40, dtype=np.int32)[np.newaxis])
    mean, variance = convolved.mean(axis=(0, 1, 2)), convolved.var(axis=(0, 1, 2))
    np.testing.assert_allclose(norm.moving_mean, 0.1 * mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm.moving_variance, 0.9 + 0.1 * variance, rtol=1e-4)


def test_evaluation_uses_the_moving_statistics_and_leaves_them():
    model, data = tiny_resnet()
    train = loop.compiled(loop.training_step(model, keras.optimizers.Adam()), data)
    train(data.x, data.y, np.arange(40, dtype=np.int32).reshape(4, 10))
    norm = model.get_layer("entry_norm")
    before = [np.asarray(variable) for variable in model.non_trainable_variables]
    evaluate = loop.compiled(loop.evaluation_step(model), data)

    def loss(rows):
        return float(evaluate(data.x, data.y, np.array(rows, np.int32))[0])

    together = loss([range(40)])
    assert together == pytest.approx(loss([[row] for row in range(40)]), rel=1e-4)
    for variable, value in zip(model.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    norm.moving_mean.assign_add(np.ones(4, np.float32))
    assert abs(loss([range(40)]) - together) > 0.01


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
        if unroll and isinstance(layer, keras.layers.LSTM | keras.layers.GRU):
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
    if op.type == "Einsum":
        inputs = op.get_attr("equation").decode().split("->")[0].split(",")
        shapes = (tensor.shape for tensor in op.inputs)
        sizes = {}
        for letters, shape in zip(inputs, shapes, strict=True):
            sizes.update(zip(letters, shape, strict=True))
        return 2 * prod(sizes.values())
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


def extrapolated_flops(model_type, steps, **given):
    """Of a recurrent model: unrolled at two and three steps, then linear in the steps."""

    def at(count):
        dataset = {"name": "synthetic", "shape": [count, 10]}
        return traced_flops(plan(model_type=model_type, dataset=dataset, **given), unroll=True)

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
    assert extrapolated_flops("rnn", 100) == pytest.approx(catalogue.flops(layers), rel=0.01)


def test_flops_of_the_base_gru():
    layers = plan(model_type="gru", dataset={"name": "synthetic"})
    assert extrapolated_flops("gru", 100) == pytest.approx(catalogue.flops(layers), rel=0.01)


@pytest.mark.parametrize("dataset", ["mnist5k", "synthetic"])
@pytest.mark.parametrize("model_type", ["mlp", "transformer", "resnet"])
def test_flops_of_the_other_bases(model_type, dataset):
    layers = plan(model_type=model_type, dataset={"name": dataset})
    assert traced_flops(layers) == pytest.approx(catalogue.flops(layers), rel=0.01)


@pytest.mark.parametrize("model_type", ["cnn", "attention", "mlp", "transformer", "resnet"])
def test_flops_of_a_deeper_model(model_type):
    layers = plan(model_type=model_type, size={"width": 0.5, "depth": 3})
    assert traced_flops(layers) == pytest.approx(catalogue.flops(layers), rel=0.01)


@pytest.mark.parametrize("model_type", ["rnn", "gru"])
def test_flops_of_a_deeper_recurrent_network(model_type):
    size = {"width": 0.5, "depth": 2}
    layers = plan(model_type=model_type, size=size, dataset={"name": "synthetic"})
    found = extrapolated_flops(model_type, 100, size=size)
    assert found == pytest.approx(catalogue.flops(layers), rel=0.015)
