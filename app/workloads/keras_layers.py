"""The explicit list of Keras' layers that an own model may have: each key of their configs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.workloads import keras_arithmetic as arithmetic
from app.workloads.keras_arithmetic import Arithmetic
from app.workloads.keras_fields import (
    INITIALIZERS,
    NO_CONSTRAINT,
    NO_PENALTY,
    OF_VECTORS,
    REQUIRED,
    SEED,
    Check,
    Field,
    activation,
    anything,
    flag,
    float32,
    initializer,
    number,
    one_of,
    only,
    optional,
    pairs,
    refuse,
    sides,
    whole,
)
from app.workloads.layers import Kind

LARGEST_WIDTH = 65_536  # units, filters, heads
LARGEST_WINDOW = 1_024  # a side of a kernel or a pooling window, a stride, a padding
LARGEST_SIDE = 2**27  # of a shape
MOST_AXES = 7  # with the batch 8: TensorFlow's kernels of ReLU and of most others take no more
MOST_SOURCES = 64

Fields = Mapping[str, Field]


@dataclass(frozen=True, kw_only=True)
class Known:
    """A layer that an own model may have.

    Attributes:
        fields: every key that its config may have, beside those of COMMON.
        figures: its arithmetic.
        reads: the least and the most inputs.
        apart: its inputs are arguments of their own, and not one list of tensors.
    """

    fields: Fields
    figures: Arithmetic
    reads: tuple[int, int] = (1, 1)
    apart: bool = False


def _trainable(place: str, value: object) -> None:
    expected = "true: the JSON carries no weights, and a frozen layer would stay random"
    only(True, expected)(place, value)


def _fixed(value: object, why: str) -> Field:
    """A key that has one value here, and is not passed on."""
    return Field(check=only(value, why), default=value, passed=False)


COMMON: Fields = {
    "name": Field(check=anything, passed=False),  # read with the layer's place in the graph
    "trainable": Field(check=_trainable, default=True, passed=False),
    "dtype": Field(check=float32, default="float32", passed=False),
}
CHANNELS_LAST = _fixed(
    "channels_last", "channels_last: TensorFlow's kernels for CPUs take no other"
)
FORMAT: Fields = {"data_format": CHANNELS_LAST}
AXIS = Field(check=whole(-MOST_AXES, MOST_AXES), default=-1)
WIDTH = Field(check=whole(1, LARGEST_WIDTH))
ACTIVATION = Field(check=activation, default=None)
USE_BIAS = Field(check=flag, default=True)
RATE = Field(check=number(0, 0.999_999))


def _weights(default: str, *names: str, vectors: tuple[str, ...] = ("bias",)) -> dict[str, Field]:
    """The initialisers of a layer's weights; neither penalties nor constraints."""
    known = {}
    for name in (*names, *vectors):
        starts = OF_VECTORS if name in vectors else tuple(INITIALIZERS)
        start = "Zeros" if name in vectors else default
        known[f"{name}_initializer"] = Field(check=initializer(*starts), default=start)
        known[f"{name}_regularizer"] = _fixed(None, NO_PENALTY)
        known[f"{name}_constraint"] = _fixed(None, NO_CONSTRAINT)
    return known


def _kernel(*names: str) -> Fields:
    """What layers with a kernel and a bias have in common."""
    return {
        "activation": ACTIVATION,
        "use_bias": USE_BIAS,
        **_weights("GlorotUniform", *names),
        "activity_regularizer": _fixed(None, NO_PENALTY),
    }


def _sides(axes: int, default: int | None = 1) -> Field:
    check = sides(axes, 1, LARGEST_WINDOW)
    return Field(check=check, default=default) if default else Field(check=check)


def _window(axes: int, *paddings: str) -> Fields:
    return {
        "kernel_size": _sides(axes, None),
        "strides": _sides(axes),
        "padding": Field(check=one_of(*paddings), default="valid"),
        "dilation_rate": _sides(axes),
        **FORMAT,
    }


def _convolution(axes: int, *paddings: str) -> Known:
    groups = Field(check=whole(1, LARGEST_WIDTH), default=1)
    return Known(
        fields={
            "filters": WIDTH,
            "groups": groups,
            **_window(axes, *paddings),
            **_kernel("kernel"),
        },
        figures=arithmetic.convolution(axes),
    )


def _depthwise(*names: str) -> Fields:
    multiplier = Field(check=whole(1, LARGEST_WIDTH), default=1)
    return {"depth_multiplier": multiplier, **_window(2, "valid", "same"), **_kernel(*names)}


def _pooling(axes: int, default: Any = REQUIRED) -> Known:
    size = sides(axes, 1, LARGEST_WINDOW)
    return Known(
        fields={
            "pool_size": Field(check=size, default=default),
            "strides": Field(check=optional(size), default=None),
            "padding": Field(check=one_of("valid", "same"), default="valid"),
            **FORMAT,
        },
        figures=arithmetic.pooling(axes),
    )


def _global_pooling(axes: int) -> Known:
    keepdims = Field(check=flag, default=False)
    return Known(fields={"keepdims": keepdims, **FORMAT}, figures=arithmetic.global_pooling(axes))


def _recurrent(figures: Arithmetic, more: Fields) -> Known:
    """A recurrent layer that starts every sample from a state of zeros."""
    return Known(
        fields={
            "units": WIDTH,
            "activation": Field(check=activation, default="tanh"),
            "use_bias": USE_BIAS,
            "return_sequences": Field(check=flag, default=False),
            "go_backwards": Field(check=flag, default=False),
            "dropout": Field(check=RATE.check, default=0.0),
            "recurrent_dropout": Field(check=RATE.check, default=0.0),
            "seed": SEED,
            "return_state": _fixed(False, "false: a layer has one output"),
            "stateful": _fixed(False, "false: every sample starts from a state of zeros"),
            "unroll": _fixed(False, "false: the steps stay a loop"),
            "zero_output_for_mask": _fixed(False, "false: there are no masks"),
            **_weights("GlorotUniform", "kernel"),
            **_weights("Orthogonal", "recurrent", vectors=()),
            "activity_regularizer": _fixed(None, NO_PENALTY),
            **more,
        },
        figures=figures,
    )


GATES: Fields = {"recurrent_activation": Field(check=activation, default="sigmoid")}


def _normalization(more: Fields) -> Known:
    epsilon = Field(check=number(1e-12, 1), default=1e-3)
    ones = Field(check=initializer(*OF_VECTORS), default="Ones")
    return Known(
        fields={
            "axis": Field(check=_last, default=-1),
            "epsilon": epsilon,
            "center": Field(check=flag, default=True),
            "scale": Field(check=flag, default=True),
            **_weights("Zeros", vectors=("beta", "gamma")),
            "gamma_initializer": ones,
            **more,
        },
        figures=arithmetic.normalization,
    )


def _last(place: str, value: object) -> int:
    """One axis, alone or in a list."""
    if isinstance(value, list | tuple) and len(value) != 1:
        refuse(place, "-1, the last axis", value)
    given = value[0] if isinstance(value, list | tuple) else value
    return int(AXIS.check(place, given))


def _shape(low: int) -> Check:
    def check(place: str, value: object) -> tuple[int, ...]:
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_AXES:
            refuse(place, f"a list of 1 to {MOST_AXES} whole numbers", value)
        side = whole(low, LARGEST_SIDE)
        return tuple(side(f"{place}[{i}]", item) for i, item in enumerate(value))

    return check


def _side_or_left(place: str, value: object) -> tuple[int, ...]:
    """Sides of a shape, where -1 stands for what is left."""
    shape: tuple[int, ...] = _shape(-1)(place, value)
    if 0 in shape:
        refuse(place, "sides of at least 1, or -1", value)
    return shape


def _merge(*, most: int = MOST_SOURCES) -> Known:
    return Known(fields={}, figures=arithmetic.merge, reads=(2, most))


def _dropout(more: Fields, figures: Arithmetic = arithmetic.same) -> Known:
    return Known(fields={"rate": RATE, "seed": SEED, **more}, figures=figures)


def _elementwise(**known: Field) -> Known:
    return Known(fields=known, figures=arithmetic.same)


def _number(low: float, default: float) -> Field:
    return Field(check=number(low), default=default)


NOT_NEGATIVE = Field(check=optional(number(0)), default=None)
STATISTICS = Field(check=initializer(*OF_VECTORS), default="Zeros")

KNOWN: Mapping[Kind, Known] = {
    "Activation": _elementwise(activation=Field(check=activation)),
    "ReLU": _elementwise(
        max_value=NOT_NEGATIVE, negative_slope=_number(0, 0.0), threshold=_number(0, 0.0)
    ),
    "LeakyReLU": _elementwise(negative_slope=_number(0, 0.3)),
    "ELU": _elementwise(alpha=_number(0, 1.0)),
    "Softmax": Known(fields={"axis": AXIS}, figures=arithmetic.softmax),
    "Rescaling": _elementwise(
        scale=Field(check=number()), offset=Field(check=number(), default=0.0)
    ),
    "Dropout": _dropout({"noise_shape": _fixed(None, "null: every value is dropped by itself")}),
    "SpatialDropout1D": _dropout({}, arithmetic.of_rank(2, arithmetic.SPATIAL[1])),
    "SpatialDropout2D": _dropout(FORMAT, arithmetic.of_rank(3, arithmetic.SPATIAL[2])),
    "GaussianNoise": _elementwise(stddev=Field(check=number(0)), seed=SEED),
    "GaussianDropout": _dropout({}),
    "Flatten": Known(fields=FORMAT, figures=arithmetic.flatten),
    "Reshape": Known(
        fields={"target_shape": Field(check=_side_or_left)}, figures=arithmetic.reshape
    ),
    "Permute": Known(fields={"dims": Field(check=_shape(1))}, figures=arithmetic.permute),
    "RepeatVector": Known(
        fields={"n": Field(check=whole(1, LARGEST_WIDTH))}, figures=arithmetic.repeat
    ),
    "ZeroPadding1D": Known(
        fields={"padding": Field(check=sides(2, 0, LARGEST_WINDOW), default=1), **FORMAT},
        figures=arithmetic.zero_padding(1),
    ),
    "ZeroPadding2D": Known(
        fields={
            "padding": Field(check=pairs(2, LARGEST_WINDOW), default=((1, 1), (1, 1))),
            **FORMAT,
        },
        figures=arithmetic.zero_padding(2),
    ),
    "UpSampling2D": Known(
        fields={
            "size": _sides(2, 2),
            "interpolation": Field(check=one_of("nearest", "bilinear"), default="nearest"),
            **FORMAT,
        },
        figures=arithmetic.up_sampling(2),
    ),
    "Dense": Known(
        fields={
            "units": WIDTH,
            **_kernel("kernel"),
            "quantization_config": _fixed(None, "null: weights are not quantised"),
        },
        figures=arithmetic.dense,
    ),
    "Conv1D": _convolution(1, "valid", "same", "causal"),
    "Conv2D": _convolution(2, "valid", "same"),
    "DepthwiseConv2D": Known(fields=_depthwise("depthwise"), figures=arithmetic.depthwise),
    "SeparableConv2D": Known(
        fields={"filters": WIDTH, **_depthwise("depthwise", "pointwise")},
        figures=arithmetic.separable,
    ),
    "MaxPooling1D": _pooling(1, default=2),
    "MaxPooling2D": _pooling(2, default=2),
    "AveragePooling1D": _pooling(1),
    "AveragePooling2D": _pooling(2),
    "GlobalMaxPooling1D": _global_pooling(1),
    "GlobalMaxPooling2D": _global_pooling(2),
    "GlobalAveragePooling1D": _global_pooling(1),
    "GlobalAveragePooling2D": _global_pooling(2),
    "BatchNormalization": _normalization(
        {
            "momentum": Field(check=number(0, 1), default=0.99),
            "moving_mean_initializer": STATISTICS,
            "moving_variance_initializer": Field(check=STATISTICS.check, default="Ones"),
            "synchronized": _fixed(False, "false: one process trains"),
            "renorm": _fixed(False, "false: batch renormalisation is not supported"),
            "renorm_clipping": _fixed(None, "null: batch renormalisation is not supported"),
            "renorm_momentum": Field(check=number(0, 1), default=0.99, passed=False),
        }
    ),
    "LayerNormalization": _normalization(
        {"rms_scaling": _fixed(False, "false: normalisation by the root mean square is another")}
    ),
    "Add": _merge(),
    "Subtract": _merge(most=2),
    "Multiply": _merge(),
    "Average": _merge(),
    "Maximum": _merge(),
    "Minimum": _merge(),
    "Concatenate": Known(
        fields={"axis": AXIS}, figures=arithmetic.concatenate, reads=(2, MOST_SOURCES)
    ),
    "SimpleRNN": _recurrent(arithmetic.simple_rnn, {}),
    "LSTM": _recurrent(
        arithmetic.lstm, {**GATES, "unit_forget_bias": Field(check=flag, default=True)}
    ),
    "GRU": _recurrent(arithmetic.gru, {**GATES, "reset_after": Field(check=flag, default=True)}),
    "MultiHeadAttention": Known(
        fields={
            "num_heads": Field(check=whole(1, 1_024)),
            "key_dim": WIDTH,
            "value_dim": Field(check=optional(WIDTH.check), default=None),
            "dropout": Field(check=RATE.check, default=0.0),
            "use_bias": USE_BIAS,
            "seed": SEED,
            "use_gate": _fixed(False, "false: gated attention is not supported"),
            "output_shape": _fixed(None, "null: the output has the query's features"),
            "attention_axes": Field(check=optional(sides(1, 1, 1)), default=None, passed=False),
            "sliding_window": _fixed(None, "null: every step attends to every step"),
            **_weights("GlorotUniform", "kernel"),
            "activity_regularizer": _fixed(None, NO_PENALTY),
        },
        figures=arithmetic.attention,
        reads=(2, 3),
        apart=True,
    ),
}

# What stands for an operator or a function of `keras.ops`, by the class that Keras writes for it.
OPERATIONS = ("keras.src.ops.", "keras.src.activations.", "keras.ops.")  # how their modules begin
INSTEAD: Mapping[str, str] = {
    "Add": "layers.Add()([a, b]) for a + b, or layers.Rescaling(1.0, offset=b) with a number b",
    "Subtract": "layers.Subtract()([a, b]) for a - b, or layers.Rescaling with a number",
    "Multiply": "layers.Multiply()([a, b]) for a * b, or layers.Rescaling(b) with a number b",
    "Divide": "layers.Rescaling(1 / b) for a / b with a number b",
    "TrueDivide": "layers.Rescaling(1 / b) for a / b with a number b",
    "Negative": "layers.Rescaling(-1.0)(a) for -a",
    "Square": "layers.Multiply()([a, a]) for the square of a",
    "Maximum": "layers.Maximum()([a, b])",
    "Minimum": "layers.Minimum()([a, b])",
    "Concatenate": "layers.Concatenate()([a, b])",
    "Mean": "layers.GlobalAveragePooling1D or 2D for a mean over steps, or height and width",
    "Max": "layers.GlobalMaxPooling1D or 2D for a maximum over steps, or height and width",
    "MaxPool": "layers.MaxPooling1D or 2D",
    "AveragePool": "layers.AveragePooling1D or 2D",
    "DotProductAttention": "layers.MultiHeadAttention",
    "LayerNorm": "layers.LayerNormalization",
    "BatchNorm": "layers.BatchNormalization",
    "Reshape": "layers.Reshape, or layers.Flatten",
    "ExpandDims": "layers.Reshape",
    "Squeeze": "layers.Reshape",
    "Transpose": "layers.Permute",
    "Swapaxes": "layers.Permute",
    "Moveaxis": "layers.Permute",
    "Pad": "layers.ZeroPadding1D or 2D",
    "Resize": "layers.UpSampling2D",
    "Relu": "layers.ReLU()(x)",
    "ReLU": "layers.ReLU()(x)",
    "LeakyRelu": "layers.LeakyReLU(negative_slope=…)(x)",
    "Elu": "layers.ELU()(x)",
    "Softmax": "layers.Softmax()(x)",
    **{
        class_name: f'layers.Activation("{name}")(x)'
        for class_name, name in {
            "Relu6": "relu6",
            "Selu": "selu",
            "Celu": "celu",
            "Gelu": "gelu",
            "Silu": "silu",
            "Softplus": "softplus",
            "Softsign": "softsign",
            "LogSoftmax": "log_softmax",
            "Sigmoid": "sigmoid",
            "LogSigmoid": "log_sigmoid",
            "HardSigmoid": "hard_sigmoid",
            "HardSilu": "hard_silu",
            "HardTanh": "hard_tanh",
            "Tanh": "tanh",
            "Exp": "exponential",
        }.items()
    },
}
