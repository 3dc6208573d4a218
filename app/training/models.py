"""A Keras model from a workload's layer data, and its loss and hits for a batch."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from app.training.recurrent import FusedLSTM, can_be_fused
from app.workloads.layers import Layer

Floats = NDArray[np.float32]

FRAMES_A_LAYER = 2  # Keras walks from the output to the input by calls within calls, one a layer


def build(layers: Iterable[Layer], *, fused: bool = False) -> Any:
    """The Keras model; its initial weights follow Keras' global seed.

    `fused` takes an LSTM's time loop as one operation of the CPU, where its arguments allow that.

    The answers are in float32 under any dtype policy: a softmax over eight bits of mantissa would
    cost accuracy and save nothing.
    """
    data, *rest = layers
    tensors = {data.name: keras.Input(data.output_shape, name=data.name)}
    for layer in rest:
        read = [tensors[name] for name in layer.inputs]
        dtype = {"dtype": "float32"} if layer is rest[-1] else {}
        made = _class(layer, fused=fused)(**layer.options, **dtype, name=layer.name)
        tensors[layer.name] = made(*read) if layer.kind in SEPARATELY else made(_together(read))
    with _calls_within_calls(FRAMES_A_LAYER * len(tensors)):
        return keras.Model(tensors[data.name], tensors[rest[-1].name])


@contextmanager
def _calls_within_calls(more: int) -> Iterator[None]:
    """Allow so many more than Python does by itself."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + more)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


class SinePositionEncoding(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Adds sines and cosines of the step to a sequence (Vaswani et al. 2017, section 3.5)."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Work the table out once; it is a constant of the graph."""
        steps, features = input_shape[1:]
        self._table = sines(int(steps or 0), int(features or 0))

    def call(self, inputs: Any) -> Any:
        """The sequences with the table added to each.

        Args:
            inputs: (batch, steps, features), as are the sums.
        """
        return inputs + keras.ops.cast(self._table, inputs.dtype)


def sines(steps: int, features: int) -> Floats:
    """Sine in the even features and cosine in the odd, of step / 10000^(even feature / features).

    Returns:
        The table (steps, features).
    """
    even = np.arange(features) // 2 * 2
    angles = np.arange(steps)[:, np.newaxis] / 10_000 ** (even / features)
    return np.where(np.arange(features) % 2, np.cos(angles), np.sin(angles)).astype(np.float32)


OWN = {"SinePositionEncoding": SinePositionEncoding}
SEPARATELY = {"MultiHeadAttention"}  # called with its inputs one by one, others with a list


def _class(layer: Layer, *, fused: bool) -> Any:
    """Keras' class of a kind, or our own; kinds are an explicit list of names."""
    if fused and layer.kind == "LSTM" and can_be_fused(layer.options):
        return FusedLSTM
    return OWN.get(layer.kind) or getattr(keras.layers, layer.kind)


def _together(read: list[Any]) -> Any:
    return read if len(read) > 1 else read[0]


def losses(labels: Any, probabilities: Any) -> Any:
    """Cross-entropy of each sample; of a sequence, the mean over steps that share its label."""
    if probabilities.shape.rank == 3:  # (batch, steps, classes)
        steps = tf.shape(probabilities)[1]
        at_every_step = tf.tile(labels[:, tf.newaxis], [1, steps])
        each = keras.losses.sparse_categorical_crossentropy(at_every_step, probabilities)
        return tf.reduce_mean(each, axis=1)
    return keras.losses.sparse_categorical_crossentropy(labels, probabilities)


def hits(labels: Any, probabilities: Any) -> Any:
    """How many samples of the batch are right; of a sequence, the last step's answer counts."""
    last = probabilities[:, -1] if probabilities.shape.rank == 3 else probabilities
    answers = tf.argmax(last, axis=-1, output_type=labels.dtype)
    return tf.math.count_nonzero(answers == labels)
