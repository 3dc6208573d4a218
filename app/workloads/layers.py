"""Layers as flat data: each knows its output's shape, its parameters and its FLOPs.

FLOPs count 2 per multiply-add of matrix products and convolutions, for one sample. The backward
pass makes one product of the same cost for the weights' gradient and another for the input's; the
latter is left out where no weight lies before the input, for nobody uses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

Shape = tuple[int, ...]
Kind = Literal[
    "Input",
    "Conv2D",
    "MaxPooling2D",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "Flatten",
    "Dense",
    "LSTM",
    "GRU",
    "MultiHeadAttention",
    "SinePositionEncoding",
    "BatchNormalization",
    "LayerNormalization",
    "ReLU",
    "Add",
    "Softmax",
    "Dot",
    "Activation",
    "LeakyReLU",
    "ELU",
    "Rescaling",
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "Reshape",
    "Permute",
    "RepeatVector",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "UpSampling2D",
    "Conv1D",
    "DepthwiseConv2D",
    "SeparableConv2D",
    "MaxPooling1D",
    "AveragePooling1D",
    "AveragePooling2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "Subtract",
    "Multiply",
    "Average",
    "Maximum",
    "Minimum",
    "Concatenate",
    "SimpleRNN",
]
Padding = Literal["valid", "same"]

KERNEL = 3  # a side of a convolution's kernel where none is given, as in the source
POOL = 2  # a side of every pooling window, and its stride, as in the source
LSTM_KEPT_PER_UNIT = 7  # at each step: four gates, the state, its tanh, the output
ATTENTION_KEPT = 8  # query, key and value twice, as products and by heads; heads' sums, output
SCORES_KEPT = 1  # of each head and pair of steps: the softmax
LAYER_NORMALIZATION_KEPT = 3  # less the mean, divided by the deviation, output
GRU_KEPT_PER_UNIT = 6  # at each step: three gates, the candidate's two products, the output


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer; shapes are of one sample, without the batch.

    Attributes:
        name: unique in its model.
        kind: which operation it is, by the name of Keras' class.
        inputs: names of the layers that it reads.
        output_shape: what it gives for one sample.
        parameters: trainable weights.
        flops_forward: of one sample.
        flops_backward: of one sample.
        kept: values of one sample that are held for the backward pass.
        options: the arguments of Keras' class.
        untrained: no weight lies before its output, so nobody needs the output's gradient.
    """

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    output_shape: Shape
    parameters: int = 0
    flops_forward: int = 0
    flops_backward: int = 0
    kept: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    untrained: bool = False


def scaled(base: int, width: float) -> int:
    """A layer's width: the base times the factor, rounded half to even, at least 1."""
    return max(1, round(base * width))


def entry(shape: Shape) -> Layer:
    """The data as they come in; no layer of the model, and not counted as one."""
    return Layer(name="input", kind="Input", inputs=(), output_shape=shape, untrained=True)


def conv2d(
    name: str,
    source: Layer,
    filters: int,
    padding: Padding = "valid",
    *,
    kernel: int = KERNEL,
    strides: int = 1,
    bias: bool = True,
    activation: str = "relu",
) -> Layer:
    """A convolution with a square kernel on (height, width, channels)."""
    *sides, channels = source.output_shape
    lost = kernel - 1 if padding == "valid" else 0
    output: Shape = (*(-(-(side - lost) // strides) for side in sides), filters)
    forward = 2 * prod(output) * kernel**2 * channels
    return Layer(
        name=name,
        kind="Conv2D",
        inputs=(source.name,),
        output_shape=output,
        parameters=(kernel**2 * channels + bias) * filters,
        flops_forward=forward,
        flops_backward=_backward(source, weights=forward, inputs=forward),
        kept=prod(output),
        options={
            "filters": filters,
            "kernel_size": kernel,
            "strides": strides,
            "padding": padding,
            "use_bias": bias,
            "activation": activation,
        },
    )


def max_pool(name: str, source: Layer) -> Layer:
    """2×2 max pooling; an odd last row or column is dropped."""
    height, width, channels = source.output_shape
    output = (height // POOL, width // POOL, channels)
    return _plain(name, "MaxPooling2D", (source,), output, pool_size=POOL)


def every_other(name: str, source: Layer) -> Layer:
    """Every other row and column, from the first: the windows of a pooling hold one value each."""
    height, width, channels = source.output_shape
    output = (-(-height // 2), -(-width // 2), channels)
    return _plain(name, "MaxPooling2D", (source,), output, pool_size=1, strides=2)


def average_over_time(name: str, source: Layer) -> Layer:
    """The mean of each feature over the steps: (steps, features) → (features,)."""
    return _plain(name, "GlobalAveragePooling1D", (source,), source.output_shape[-1:])


def average_over_image(name: str, source: Layer) -> Layer:
    """The mean of each channel over the image: (height, width, channels) → (channels,)."""
    return _plain(name, "GlobalAveragePooling2D", (source,), source.output_shape[-1:])


def flatten(name: str, source: Layer) -> Layer:
    """All values of a sample in one row."""
    return _plain(name, "Flatten", (source,), (prod(source.output_shape),))


def dense(name: str, source: Layer, units: int, activation: str = "linear") -> Layer:
    """A dense layer on the last axis, the same at every step of a sequence."""
    *outer, features = source.output_shape
    output: Shape = (*outer, units)
    forward = 2 * prod(output) * features
    return Layer(
        name=name,
        kind="Dense",
        inputs=(source.name,),
        output_shape=output,
        parameters=(features + 1) * units,
        flops_forward=forward,
        flops_backward=_backward(source, weights=forward, inputs=forward),
        kept=prod(output),
        options={"units": units, "activation": activation},
    )


def lstm(name: str, source: Layer, units: int) -> Layer:
    """An LSTM that gives its output at every step: four gates on the input and on the state."""
    return _gated(name, "LSTM", source, units, gates=4, biases=1, kept=LSTM_KEPT_PER_UNIT)


def gru(name: str, source: Layer, units: int) -> Layer:
    """A GRU that gives its output at every step: three gates on the input and on the state.

    As Keras and cuDNN have it, the reset gate acts after the state's product (`reset_after`), so
    that input and state each have a bias.
    """
    return _gated(name, "GRU", source, units, gates=3, biases=2, kept=GRU_KEPT_PER_UNIT)


def _gated(
    name: str, kind: Kind, source: Layer, units: int, *, gates: int, biases: int, kept: int
) -> Layer:
    """A recurrent layer whose gates each multiply the input and the state, at every step."""
    steps, features = source.output_shape
    from_input = 2 * steps * features * gates * units
    from_state = 2 * steps * units * gates * units
    forward = from_input + from_state
    return Layer(
        name=name,
        kind=kind,
        inputs=(source.name,),
        output_shape=(steps, units),
        parameters=gates * (features + units + biases) * units,
        flops_forward=forward,
        flops_backward=_backward(source, weights=forward, inputs=from_input) + from_state,
        kept=kept * steps * units,
        options={"units": units, "return_sequences": True},
    )


def self_attention(name: str, source: Layer, heads: int) -> Layer:
    """Multi-head attention of a sequence (steps, features) to itself (Vaswani et al. 2017).

    Query, key, value and output are products with features × features, each with a bias. Every
    head has features / heads of them, and two products of steps × steps: the scores, and the
    weighted sum of the values.

    Args:
        name: of the layer.
        source: what it reads.
        heads: a divisor of the features.
    """
    steps, features = source.output_shape
    projection = 2 * steps * features**2
    products = 2 * 2 * steps**2 * features
    outer = _backward(source, weights=3 * projection, inputs=3 * projection)  # query, key, value
    return Layer(
        name=name,
        kind="MultiHeadAttention",
        inputs=(source.name, source.name),  # query, and value with key
        output_shape=source.output_shape,
        parameters=4 * (features + 1) * features,
        flops_forward=4 * projection + products,
        flops_backward=outer + 2 * (projection + products),
        kept=ATTENTION_KEPT * steps * features + SCORES_KEPT * heads * steps**2,
        options={"num_heads": heads, "key_dim": features // heads},
    )


def positions(name: str, source: Layer) -> Layer:
    """Sines and cosines of the step added to (steps, features); nothing that is trained."""
    return _plain(name, "SinePositionEncoding", (source,), source.output_shape)


def layer_normalization(name: str, source: Layer) -> Layer:
    """Each step's features to mean 0 and variance 1, then a trained scale and shift of each."""
    kept = LAYER_NORMALIZATION_KEPT * prod(source.output_shape)
    return _normalization(name, "LayerNormalization", source, kept, epsilon=1e-6)


def batch_normalization(name: str, source: Layer, momentum: float) -> Layer:
    """Each channel to mean 0 and variance 1 over the batch, then a trained scale and shift.

    Evaluation uses moving means and variances; they are not trained, and not counted. The backward
    pass needs what it reads, which the layer before it counts, and of what it gives nothing where
    ReLU or a sum follows.
    """
    return _normalization(name, "BatchNormalization", source, 0, momentum=momentum)


def relu(name: str, source: Layer) -> Layer:
    """max(0, x)."""
    return _plain(name, "ReLU", (source,), source.output_shape)


def add(name: str, one: Layer, other: Layer) -> Layer:
    """The sum of two layers of the same shape."""
    return _plain(name, "Add", (one, other), one.output_shape)


def softmax_over_time(name: str, source: Layer) -> Layer:
    """Weights over the steps (the first axis of a sample) that sum to 1."""
    return _plain(name, "Softmax", (source,), source.output_shape, axis=1)


def dot(name: str, weights: Layer, values: Layer) -> Layer:
    """The sum over the steps of weight × value: (steps, 1)ᵀ · (steps, units) → (1, units)."""
    steps, units = values.output_shape
    forward = 2 * steps * units
    return Layer(
        name=name,
        kind="Dot",
        inputs=(weights.name, values.name),
        output_shape=(1, units),
        flops_forward=forward,
        flops_backward=2 * forward,
        kept=units,
        options={"axes": 1},
    )


def _plain(
    name: str, kind: Kind, sources: tuple[Layer, ...], output: Shape, **options: Any
) -> Layer:
    """A layer without weights, and without a matrix product."""
    return Layer(
        name=name,
        kind=kind,
        inputs=tuple(source.name for source in sources),
        output_shape=output,
        kept=prod(output),
        options=options,
        untrained=all(source.untrained for source in sources),
    )


def _normalization(name: str, kind: Kind, source: Layer, kept: int, **options: Any) -> Layer:
    """A scale and a shift for each value of the last axis; no matrix product."""
    return Layer(
        name=name,
        kind=kind,
        inputs=(source.name,),
        output_shape=source.output_shape,
        parameters=2 * source.output_shape[-1],
        kept=kept,
        options=options,
    )


def _backward(source: Layer, *, weights: int, inputs: int) -> int:
    return weights if source.untrained else weights + inputs
