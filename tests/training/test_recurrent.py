"""The fused LSTM is Keras' LSTM: outputs, gradients, weights, shapes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from app.training.recurrent import FusedLSTM, can_be_fused


def pair(units, shape, *, return_sequences):
    """Keras' layer and ours with the same weights, of which none is zero."""
    layers = [
        kind(units, return_sequences=return_sequences) for kind in (keras.layers.LSTM, FusedLSTM)
    ]
    for layer in layers:
        layer.build((None, *shape))
    random = np.random.default_rng(0)
    weights = [random.normal(0, 0.5, w.shape) for w in layers[0].get_weights()]
    for layer in layers:
        layer.set_weights(weights)
    return layers


@given(
    batch=st.integers(1, 5),
    steps=st.integers(1, 9),
    features=st.integers(1, 6),
    units=st.integers(1, 9),
    return_sequences=st.booleans(),
)
@settings(deadline=None, max_examples=25)
def test_outputs_and_gradients_are_those_of_keras(batch, steps, features, units, return_sequences):
    theirs, ours = pair(units, (steps, features), return_sequences=return_sequences)
    random = np.random.default_rng(1)
    x = tf.constant(random.normal(size=(batch, steps, features)).astype(np.float32))
    found = []
    for layer in (theirs, ours):
        with tf.GradientTape() as tape:
            tape.watch(x)
            out = layer(x)
            weighed = tf.reduce_sum(
                out * tf.cast(tf.reshape(tf.range(tf.size(out)), out.shape), tf.float32)
            )
        gradients = tape.gradient(weighed, [x, *(v.value for v in layer.trainable_variables)])
        found.append([out, *gradients])
    for a, b in zip(*found, strict=True):
        scale = max(1.0, float(np.abs(a).max()))
        np.testing.assert_allclose(np.asarray(a) / scale, np.asarray(b) / scale, atol=1e-5)


def test_initial_weights_and_names_are_those_of_keras():
    found = []
    for kind in (keras.layers.LSTM, FusedLSTM):
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.Input((7, 3)), kind(4, name="lstm")])
        found.append((model.get_weights(), [v.name for v in model.variables]))
    assert found[0][1] == found[1][1]
    for a, b in zip(found[0][0], found[1][0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_half_precision_stays_outside_of_the_kernel():
    layer = FusedLSTM(4, return_sequences=True, dtype="mixed_bfloat16")
    assert layer(np.zeros((2, 5, 3), np.float32)).dtype == "bfloat16"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"units": 4, "return_sequences": True}, True),
        ({"units": 4, "activation": "tanh", "dropout": 0.0}, True),
        ({"units": 4, "activation": "relu"}, False),
        ({"units": 4, "recurrent_dropout": 0.1}, False),
        ({"units": 4, "use_bias": False}, False),
        ({"units": 4, "go_backwards": True}, False),
    ],
)
def test_which_can_be_fused(options, expected):
    assert can_be_fused(options) is expected


def test_a_mask_is_refused():
    with pytest.raises(ValueError, match="received a mask"):
        FusedLSTM(4)(np.zeros((2, 5, 3), np.float32), mask=np.ones((2, 5), bool))
