"""A Keras model from a workload's layer data, and its loss and hits for a batch."""

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from app.workloads.layers import Layer


def build(layers: Iterable[Layer]) -> Any:
    """The Keras model; its initial weights follow Keras' global seed.

    The answers are in float32 under any dtype policy: a softmax over eight bits of mantissa would
    cost accuracy and save nothing.
    """
    data, *rest = layers
    tensors = {data.name: keras.Input(data.output_shape, name=data.name)}
    for layer in rest:
        read = [tensors[name] for name in layer.inputs]
        dtype = {"dtype": "float32"} if layer is rest[-1] else {}
        made = _class(layer)(**layer.options, **dtype, name=layer.name)
        tensors[layer.name] = made(read if len(read) > 1 else read[0])
    return keras.Model(tensors[data.name], tensors[rest[-1].name])


def _class(layer: Layer) -> Any:
    """Keras' class of a kind; kinds are an explicit list of names."""
    return getattr(keras.layers, layer.kind)


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
