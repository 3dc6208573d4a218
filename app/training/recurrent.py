"""An LSTM whose whole time loop is one operation: TensorFlow's own kernel for the CPU.

Keras' LSTM runs a graph of about twenty operations at every step; `BlockLSTMV2` computes the same
(gates in Keras' order i, f, c, o; Hochreiter & Schmidhuber 1997) in one, and its gradient in
another. Weights, their initial values and their names are Keras' own.
"""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

PLAIN = {  # what the kernel computes, which are Keras' defaults
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "use_bias": True,
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
    "return_state": False,
    "go_backwards": False,
    "stateful": False,
}


def can_be_fused(options: Mapping[str, Any]) -> bool:
    """Whether the kernel computes an LSTM with these arguments."""
    return all(options.get(name, value) == value for name, value in PLAIN.items())


class FusedLSTM(keras.layers.LSTM):  # type: ignore[misc]  # Keras has no types
    """Keras' LSTM with its default activations, for sequences without a mask, on the CPU.

    XLA has no such kernel: where a step is compiled, Keras' own layer is better.
    """

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        """The outputs of (batch, steps, features): (batch, steps, units), or the last alone.

        Raises:
            ValueError: an initial state or a mask is given.
        """
        del training
        if initial_state is not None or mask is not None:
            raise ValueError("expected a sequence alone, received a mask or an initial state")
        cell = self.cell
        x = tf.transpose(tf.cast(sequences, tf.float32), [1, 0, 2])  # (steps, batch, features)
        weights = (cell.kernel, cell.recurrent_kernel, cell.bias)
        # the kernel knows float32: under a half precision its operands are rounded to that
        outputs = lstm(x, *(tf.cast(weight.value, tf.float32) for weight in weights))
        outputs = tf.cast(outputs, self.compute_dtype)
        return tf.transpose(outputs, [1, 0, 2]) if self.return_sequences else outputs[-1]


@tf.custom_gradient  # type: ignore[untyped-decorator]  # TensorFlow has no types
def lstm(x: Any, kernel: Any, recurrent_kernel: Any, bias: Any) -> Any:
    """All steps of an LSTM from zero states.

    TensorFlow 2.21 registers the gradient of the older `BlockLSTM` for `BlockLSTMV2`, which takes
    the gates in another order: the right one is called here.

    Args:
        x: (steps, batch, features).
        kernel: (features, 4 × units), gates in the order i, f, c, o, as are all three.
        recurrent_kernel: (units, 4 × units).
        bias: (4 × units,).

    Returns:
        The outputs (steps, batch, units), and the function of their gradient.
    """
    units = recurrent_kernel.shape[0]
    state, peephole = tf.zeros([tf.shape(x)[1], units]), tf.zeros([units])
    inputs = {
        "seq_len_max": tf.shape(x, tf.int64)[0],
        "x": x,
        "cs_prev": state,
        "h_prev": state,
        "w": tf.concat([kernel, recurrent_kernel], axis=0),
        "wci": peephole,
        "wcf": peephole,
        "wco": peephole,
        "b": bias,
    }
    kept = tf.raw_ops.BlockLSTMV2(**inputs, cell_clip=0.0)

    def gradient(upstream: Any) -> tuple[Any, ...]:
        found = tf.raw_ops.BlockLSTMGradV2(
            **inputs,
            **kept._asdict(),
            cs_grad=tf.zeros_like(upstream),
            h_grad=upstream,
            use_peephole=False,
        )
        features = tf.shape(kernel)[0]
        return found.x_grad, found.w_grad[:features], found.w_grad[features:], found.b_grad

    return kept.h, gradient
