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
    "Input", "Conv2D", "MaxPooling2D", "Flatten", "Dense", "LSTM", "Add", "Softmax", "Dot"
]
Padding = Literal["valid", "same"]

KERNEL = 3  # a side of every convolution's kernel, as in the source
POOL = 2  # a side of every pooling window, and its stride, as in the source
LSTM_KEPT_PER_UNIT = 7  # at each step: four gates, the state, its tanh, the output


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


def conv2d(name: str, source: Layer, filters: int, padding: Padding = "valid") -> Layer:
    """A 3×3 convolution with ReLU on (height, width, channels)."""
    height, width, channels = source.output_shape
    lost = KERNEL - 1 if padding == "valid" else 0
    output: Shape = (height - lost, width - lost, filters)
    forward = 2 * prod(output) * KERNEL**2 * channels
    return Layer(
        name=name,
        kind="Conv2D",
        inputs=(source.name,),
        output_shape=output,
        parameters=(KERNEL**2 * channels + 1) * filters,
        flops_forward=forward,
        flops_backward=_backward(source, weights=forward, inputs=forward),
        kept=prod(output),
        options={
            "filters": filters,
            "kernel_size": KERNEL,
            "padding": padding,
            "activation": "relu",
        },
    )


def max_pool(name: str, source: Layer) -> Layer:
    """2×2 max pooling; an odd last row or column is dropped."""
    height, width, channels = source.output_shape
    output = (height // POOL, width // POOL, channels)
    return _plain(name, "MaxPooling2D", (source,), output, pool_size=POOL)


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
    steps, features = source.output_shape
    from_input = 2 * steps * features * 4 * units
    from_state = 2 * steps * units * 4 * units
    forward = from_input + from_state
    return Layer(
        name=name,
        kind="LSTM",
        inputs=(source.name,),
        output_shape=(steps, units),
        parameters=4 * (features + units + 1) * units,
        flops_forward=forward,
        flops_backward=_backward(source, weights=forward, inputs=from_input) + from_state,
        kept=LSTM_KEPT_PER_UNIT * steps * units,
        options={"units": units, "return_sequences": True},
    )


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


def _backward(source: Layer, *, weights: int, inputs: int) -> int:
    return weights if source.untrained else weights + inputs
