"""What is read from the JSON of a Keras model is that model: shapes, weights, outputs, FLOPs."""

import copy
import json
import re
import sys
from math import prod
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers as k

from app.domain.errors import SpecError
from app.domain.specs import JobSpec
from app.training import loop, models
from app.training.data import Part
from app.training.run import train
from app.workloads import architecture, catalogue
from app.workloads.keras_fields import ACTIVATIONS, fields
from app.workloads.keras_json import MOST_LAYERS
from app.workloads.keras_layers import COMMON, KNOWN, MOST_AXES
from tests.training.test_models import op_flops, reachable
from tests.workloads.hostile.models import ANSWER
from tests.workloads.hostile.models import layer as layer_json
from tests.workloads.hostile.models import residual as residual_json
from tests.workloads.hostile.models import sequential as sequential_json
from tests.workloads.test_architecture import changed
from tests.workloads.test_keras_layers import LEAST

IMAGE = (28, 28)
SERIES = (12, 5)


def sequential(shape, *layers):
    return keras.Sequential([keras.Input(shape), *layers])


def cnn():
    return sequential(
        (28, 28, 1),
        k.Rescaling(2.0, offset=-1),
        k.Conv2D(8, 3, activation="relu"),
        k.MaxPooling2D(),
        k.SpatialDropout2D(0.1),
        k.Conv2D(12, (3, 5), strides=2, padding="same", use_bias=False),
        k.BatchNormalization(),
        k.ReLU(max_value=6.0),
        k.Flatten(),
        k.Dense(10, activation="softmax"),
    )


def residual():
    data = keras.Input((28, 28, 1))
    x = k.Conv2D(6, 3, padding="same", use_bias=False)(data)
    x = k.BatchNormalization(momentum=0.9)(x)
    first = k.Activation("relu")(x)
    x = k.ZeroPadding2D(((2, 0), (0, 1)))(first)
    x = k.Conv2D(6, 3, strides=2, kernel_initializer="he_normal")(x)
    side = k.AveragePooling2D(2, padding="same")(first)
    side = k.Conv2D(6, 1, strides=(1, 1))(side)
    x = k.Add()([x, side])
    x = k.Concatenate()([x, side, x])
    gate = k.GlobalAveragePooling2D(keepdims=True)(x)
    x = k.Multiply()([x, k.Dense(18, activation="sigmoid")(gate)])
    x = k.GlobalMaxPooling2D()(x)
    return keras.Model(data, k.Dense(10)(x))


def separable():
    return sequential(
        (28, 28, 1),
        k.SeparableConv2D(8, 3, strides=2, depth_multiplier=3),
        k.LayerNormalization(),
        k.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="gelu"),
        k.UpSampling2D((2, 1)),
        k.SeparableConv2D(4, (2, 3), use_bias=False, activation="swish"),
        k.GlobalAveragePooling2D(),
        k.Dense(10),
    )


def convolution_1d():
    return sequential(
        (None, 5),
        k.ZeroPadding1D((2, 1)),
        k.Conv1D(8, 3, padding="causal", activation="tanh"),
        k.MaxPooling1D(3, strides=2),
        k.SpatialDropout1D(0.2),
        k.AveragePooling1D(2, padding="same"),
        k.GaussianNoise(0.1),
        k.Conv1D(10, 1, activation="softmax"),
    )


def mlp():
    return sequential(
        (784,),
        k.Dense(32, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01, seed=3)),
        k.LeakyReLU(),
        k.Dropout(0.2, seed=4),
        k.Dense(16, activation="elu", bias_initializer=keras.initializers.Constant(0.1)),
        k.ELU(0.5),
        k.GaussianDropout(0.1),
        k.Dense(10),
        k.Softmax(),
    )


def merged():
    data = keras.Input(SERIES)
    x = k.Dense(7, activation="tanh")(data)
    y = k.Dense(7)(data)
    merges = [k.Subtract(), k.Average(), k.Maximum(), k.Minimum(), k.Multiply()]
    x = k.Concatenate(axis=1)([merge([x, y]) for merge in merges])
    x = k.Permute((2, 1))(x)
    x = k.Reshape((-1, 15))(x)
    x = k.Softmax(axis=1)(x)
    x = k.Flatten()(x)
    x = k.RepeatVector(2)(x)
    return keras.Model(data, k.Dense(10, activation="softmax")(x))


def attention():
    data = keras.Input(SERIES)
    x = k.Dense(8)(data)
    x = k.Add()([x, k.MultiHeadAttention(2, 4, dropout=0.1)(x, x)])
    x = k.LayerNormalization(epsilon=1e-6)(x)
    x = k.MultiHeadAttention(3, 2, value_dim=5, use_bias=False)(query=x, value=data, key=x)
    x = k.GlobalAveragePooling1D()(x)
    return keras.Model(data, [k.Dense(10)(x)])


def lstm():
    return sequential(
        SERIES,
        k.LSTM(6, return_sequences=True, dropout=0.1, go_backwards=True),
        k.LSTM(7, unit_forget_bias=False),
        k.Dense(10, activation="softmax"),
    )


def gru():
    return sequential(
        SERIES,
        k.GRU(6, return_sequences=True),
        k.GRU(7, return_sequences=True, reset_after=False, use_bias=False),
        k.Dense(10),
    )


def simple_rnn():
    data = keras.Input(SERIES)
    x = k.SimpleRNN(9, activation="relu", return_sequences=True)(data)
    x = k.GlobalMaxPooling1D()(x)
    return keras.Model(data, k.Activation("softmax")(k.Dense(10)(x)))


CASES = [
    (cnn, IMAGE),
    (residual, IMAGE),
    (separable, IMAGE),
    (convolution_1d, SERIES),
    (mlp, IMAGE),
    (merged, SERIES),
    (attention, SERIES),
    (lstm, SERIES),
    (gru, SERIES),
    (simple_rnn, SERIES),
]
RECURRENT = (lstm, gru, simple_rnn)  # a loop's body is traced once: counted by hand
by_case = pytest.mark.parametrize(
    ("make", "shape"), CASES, ids=[make.__name__ for make, _ in CASES]
)


def read(model, shape, classes=10):
    return architecture.layers(json.loads(model.to_json()), shape, classes)


def trainable(layer):
    return sum(prod(weight.shape) for weight in layer.trainable_weights)


@by_case
def test_the_rebuilt_model_is_the_original(make, shape):
    original = make()
    layers = read(original, shape)
    rebuilt = models.build(layers)
    found = {
        layer.name: (tuple(layer.output.shape[1:]), trainable(layer)) for layer in rebuilt.layers
    }
    assert found == {layer.name: (layer.output_shape, layer.parameters) for layer in layers}
    stated = sum(layer.parameters for layer in layers)
    assert stated == sum(prod(weight.shape) for weight in original.trainable_weights)
    assert rebuilt.count_params() == original.count_params()

    rebuilt.set_weights(original.get_weights())
    x = np.random.default_rng(0).normal(size=(3, *layers[0].output_shape)).astype(np.float32)
    (outputs,) = keras.tree.flatten(original(x))
    if layers[-1].name.startswith("softmax_1"):  # added to logits
        outputs = keras.ops.softmax(outputs)
    np.testing.assert_allclose(rebuilt(x), outputs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.asarray(rebuilt(x)).sum(axis=-1), 1, rtol=1e-5)


@by_case
def test_every_layer_gets_the_arguments_of_the_original(make, shape):
    original = make()
    rebuilt = models.build(read(original, shape))
    for layer in original.layers:
        expected, found = layer.get_config(), rebuilt.get_layer(layer.name).get_config()
        for config in (expected, found):
            config.pop("dtype")  # the answers are in float32 in any case
            config.pop("batch_shape", None)  # an axis of null takes the data's
        assert json.loads(json.dumps(found)) == json.loads(json.dumps(expected))


@pytest.mark.parametrize(("make", "shape"), [case for case in CASES if case[0] not in RECURRENT])
def test_flops_are_those_of_the_traced_step(make, shape):
    layers = read(make(), shape)
    assert traced_flops(layers) == pytest.approx(catalogue.flops(layers), rel=0.01)


def traced_flops(layers):
    """FLOPs of one sample's gradient step, of the ops that its outputs need."""
    model = models.build(layers)

    def gradients(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(models.losses(y, model(x, training=True)))
        return tape.gradient(loss, model.trainable_variables)

    signature = [
        tf.TensorSpec([1, *layers[0].output_shape], tf.float32),
        tf.TensorSpec([1], tf.int32),
    ]
    graph = tf.function(gradients, input_signature=signature, autograph=False)
    return sum(flops(op) for op in reachable(graph.get_concrete_function().graph.outputs))


def flops(op):
    if op.type == "Einsum":
        return einsum_flops(op)
    if not op.type.startswith("DepthwiseConv2dNative"):
        return op_flops(op)
    backward = op.type != "DepthwiseConv2dNative"
    images = op.inputs[2] if backward else op.outputs[0]
    weights = op.outputs[0] if op.type.endswith("Filter") else op.inputs[1]
    return 2 * prod(images.shape) * prod(weights.shape[:2])


def einsum_flops(op):
    """Two for every combination of the indices of both sides."""
    equation = op.get_attr("equation").decode()
    sides = {}
    for term, tensor in zip(equation.split("->")[0].split(","), op.inputs, strict=True):
        sides |= dict(zip(term, tensor.shape, strict=True))
    return 2 * prod(sides.values()) if len(op.inputs) == 2 else 0


@pytest.mark.parametrize(
    ("make", "forward", "backward"),
    [
        # 12 steps of 2·24·(5 + 6), then of 2·28·(6 + 7), and 2·7·10; backward for the weights once
        # more, for the states once more, and for the inputs of all but the first
        (
            lstm,
            12 * 2 * 24 * 11 + 12 * 2 * 28 * 13 + 140,
            12 * 2 * 24 * (11 + 6) + 12 * 2 * 28 * (13 + 13) + 280,
        ),
        (
            gru,
            12 * 2 * 18 * 11 + 12 * 2 * 21 * 13 + 12 * 140,
            12 * 2 * 18 * (11 + 6) + 12 * 2 * 21 * (13 + 13) + 12 * 280,
        ),
        (simple_rnn, 12 * 2 * 9 * 14 + 180, 12 * 2 * 9 * (14 + 9) + 360),
    ],
)
def test_flops_of_recurrent_layers_by_hand(make, forward, backward):
    layers = read(make(), SERIES)
    assert sum(layer.flops_forward for layer in layers) == forward
    assert sum(layer.flops_backward for layer in layers) == backward


def test_a_compiled_model_is_read_and_its_optimiser_is_not():
    model = mlp()
    plain = read(model, IMAGE)
    model.compile("sgd", "mse", metrics=["accuracy"])
    assert read(model, IMAGE) == plain


@pytest.mark.parametrize("make", [residual, separable])
def test_our_loop_trains_the_rebuilt_model(make):
    model = models.build(read(make(), IMAGE))
    random = np.random.default_rng(0)
    x = random.normal(size=(32, 28, 28, 1)).astype(np.float32)
    data = loop.tensors(Part(x, np.arange(32, dtype=np.int32) % 10))
    step = loop.training_step(model, keras.optimizers.Adam(0.01))
    graph = loop.compiled(step, data)
    rows = np.arange(32, dtype=np.int32)[np.newaxis]
    losses = [float(graph(data.x, data.y, rows)[0]) for _ in range(8)]
    assert losses[-1] < losses[0]


def first_step(model):
    """The loss of one traced step, as the training takes it."""
    x, y = tf.ones((4, *model.input_shape[1:])), tf.zeros((4,), tf.int32)
    step = loop.training_step(model, keras.optimizers.Adam(0.001))
    return float(tf.function(step, autograph=False)(x, y)[0])


def test_as_many_layers_as_are_allowed_take_a_step_one_behind_the_other():
    """Keras' walk through them calls itself once a layer, more often than Python allows."""
    chain = [layer_json("Rescaling", f"r{i}", scale=1.0) for i in range(MOST_LAYERS - 3)]
    wide = layer_json("Dense", "wide", units=4)
    layers = architecture.layers(sequential_json(wide, *chain, ANSWER, shape=[784]), IMAGE, 10)
    assert len(layers) == MOST_LAYERS > sys.getrecursionlimit()
    limit = sys.getrecursionlimit()
    assert np.isfinite(first_step(models.build(layers)))
    assert sys.getrecursionlimit() == limit


ONES = (4, 7, 28) + (1,) * (MOST_AXES - 3)
OF_MANY_AXES = [
    *(k.Activation(name) for name in ACTIVATIONS if name != "softmax"),
    *(k.ReLU(3.0, 0.1, 0.2), k.LeakyReLU(), k.ELU(), k.Rescaling(2.0)),
    *(k.Dropout(0.1), k.GaussianNoise(0.1), k.GaussianDropout(0.1)),
    *(k.Dense(3), k.BatchNormalization(), k.LayerNormalization()),
    k.Permute(tuple(range(MOST_AXES, 0, -1))),
]
MERGES = [k.Add, k.Subtract, k.Multiply, k.Average, k.Maximum, k.Minimum, k.Concatenate]


def test_as_many_axes_as_are_allowed_can_be_trained():
    data = keras.Input((784,))
    wide = k.Reshape(ONES)(k.Dense(784)(data))
    one = k.Reshape((1,) * MOST_AXES)(k.Dense(1)(data))
    parts = [made(wide) for made in OF_MANY_AXES]
    parts += [merge()([wide, wide if merge is k.Concatenate else one]) for merge in MERGES]
    joined = k.Concatenate()([k.Dense(1)(k.Flatten()(part)) for part in parts])
    model = keras.Model(data, k.Dense(10)(joined))
    assert np.isfinite(first_step(models.build(read(model, IMAGE))))


def test_as_many_axes_as_a_softmax_takes_can_be_trained():
    shape = (4, 7, 4, 7)
    assert len(shape) == architecture.SOFTMAX_AXES
    softmaxes = [k.Softmax(axis=3), k.Activation("softmax"), k.Dense(3, activation="softmax")]
    model = sequential((784,), k.Dense(784), k.Reshape(shape), *softmaxes, k.Flatten(), k.Dense(10))
    assert np.isfinite(first_step(models.build(read(model, IMAGE))))


WINDOWS = [
    k.Conv2D(3, 3, dilation_rate=2),
    k.DepthwiseConv2D(3, dilation_rate=(2, 2)),
    k.Conv2D(4, 1, strides=3),
    k.MaxPooling2D(2, strides=5),
]
GROUPED = k.Conv2D(6, 3, groups=2, strides=2)  # compiled by XLA, where the walk does not look


def with_a_layer(layer):
    model = sequential((28, 28, 1), k.Conv2D(16, 1), layer, k.Flatten(), k.Dense(10))
    return read(model, IMAGE)


@pytest.mark.parametrize("layer", WINDOWS, ids=lambda layer: layer.name)
def test_flops_of_windows_of_every_form(layer):
    layers = with_a_layer(layer)
    assert traced_flops(layers) == pytest.approx(catalogue.flops(layers), rel=0.01)


@pytest.mark.parametrize("layer", [*WINDOWS, GROUPED], ids=lambda layer: layer.name)
def test_windows_of_every_form_can_be_trained(layer):
    rebuilt = models.build(with_a_layer(layer))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(models.losses(tf.constant([1]), rebuilt(tf.ones((1, 28, 28, 1)))))
    assert all(gradient is not None for gradient in tape.gradient(loss, rebuilt.trainable_weights))


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_what_is_not_refused_can_be_built(data):
    model = changed(copy.deepcopy(residual_json()), data)
    try:
        layers = architecture.layers(model, IMAGE, 10)
    except SpecError:
        return
    rebuilt = models.build(layers)
    found = {layer.name: tuple(layer.output.shape[1:]) for layer in rebuilt.layers}
    assert found == {layer.name: layer.output_shape for layer in layers}


@pytest.mark.parametrize("kind", KNOWN)
def test_configs_and_defaults_are_those_of_keras(kind):
    """Every key that Keras writes is known, and a config without it means the same."""
    given = {"name": "a", **LEAST.get(kind, {})}
    known = {**KNOWN[kind].fields, **COMMON}
    written = json.loads(json.dumps(getattr(k, kind)(**given).get_config()))
    assert set(written) <= set(known)
    unwritten = {"seed", "trainable"} | ({"activity_regularizer"} if kind == "Dense" else set())
    assert {key for key in known if key not in written} <= unwritten
    least, full = fields("here", given, known), fields("here", written, known)
    if "pool_size" in full:
        assert (least.pop("strides"), full.pop("strides")) == (None, full["pool_size"])
    if "key_dim" in full:
        assert (least.pop("value_dim"), full.pop("value_dim")) == (None, full["key_dim"])
    assert least == full


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (lambda a, b: a + b, "layers.Add()([a, b]) for a + b"),
        (lambda a, b: a - b, "layers.Subtract()([a, b]) for a - b"),
        (lambda a, b: a * b, "layers.Multiply()([a, b]) for a * b"),
        (lambda a, _: a * 2, "layers.Rescaling(b)"),
        (lambda a, _: a / 2, "layers.Rescaling(1 / b)"),
        (lambda a, _: -a, "layers.Rescaling(-1.0)"),
        (lambda a, _: keras.ops.relu(a), "layers.ReLU()(x)"),
        (lambda a, _: keras.activations.relu(a), "layers.ReLU()(x)"),
        (lambda a, _: keras.ops.gelu(a), 'layers.Activation("gelu")(x)'),
        (lambda a, _: keras.ops.transpose(a, (0, 2, 1)), "layers.Permute"),
        (lambda a, b: a @ b, "none does the same"),
    ],
)
def test_operators_and_functions_are_told_what_stands_for_them(operation, words):
    data = keras.Input(IMAGE)
    x = operation(data, k.Dense(28)(data))
    model = keras.Model(data, k.Dense(10)(k.Flatten()(x)))
    with pytest.raises(SpecError) as caught:
        architecture.layers(json.loads(model.to_json()), IMAGE, 10)
    (error,) = caught.value.errors
    assert words in error.expected
    assert error.received.startswith("keras.src.")


def test_the_example_of_the_documentation_learns(cache_dir):
    text = (Path(__file__).parents[2] / "docs" / "workloads.md").read_text()
    section = text.partition("## A model of your own")[2]
    given = {}
    exec(re.search(r"```python\n(.*?)```", section, re.DOTALL)[1], given)
    ended = []
    train(
        JobSpec.model_validate(given["spec"]),
        lambda _, __, facts: ended.append(facts),
        lambda *_: None,
        cache_dir,
    )
    assert ended[-1]["test_accuracy"] >= 0.9
