"""A Keras model from a workload's layer data, and its loss and hits for a batch."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

from app.workloads.layers import KERNEL, POOL, Layer

BUILDERS: dict[str, Callable[[Layer], Any]] = {
    "conv2d": lambda layer: keras.layers.Conv2D(
        layer.units, KERNEL, padding=layer.padding, activation=layer.activation, name=layer.name
    ),
    "max_pool": lambda layer: keras.layers.MaxPooling2D(POOL, name=layer.name),
    "flatten": lambda layer: keras.layers.Flatten(name=layer.name),
    "dense": lambda layer: keras.layers.Dense(
        layer.units, activation=layer.activation, name=layer.name
    ),
    "lstm": lambda layer: keras.layers.LSTM(layer.units, return_sequences=True, name=layer.name),
    "add": lambda layer: keras.layers.Add(name=layer.name),
    "softmax_over_time": lambda layer: keras.layers.Softmax(axis=1, name=layer.name),
    "dot": lambda layer: keras.layers.Dot(axes=1, name=layer.name),
}


def build(layers: Iterable[Layer]) -> Any:
    """The Keras model; its initial weights follow Keras' global seed."""
    data, *rest = layers
    tensors = {data.name: keras.Input(data.output_shape, name=data.name)}
    for layer in rest:
        read = [tensors[name] for name in layer.inputs]
        tensors[layer.name] = BUILDERS[layer.kind](layer)(read if len(read) > 1 else read[0])
    return keras.Model(tensors[data.name], tensors[rest[-1].name])


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
