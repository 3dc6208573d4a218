"""The arithmetic of Keras' layers: output shape, parameters and FLOPs from checked options.

It counts as `layers` does: 2 FLOPs per multiply-add of matrix products and convolutions of one
sample; normalisations, activations and pooling count none. Shapes leave out the batch; an axis in
a config counts it, as Keras does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from app.workloads.keras_fields import Options, refuse
from app.workloads.layers import GRU_KEPT_PER_UNIT, LSTM_KEPT_PER_UNIT, Layer, Shape

CHANNELS_OF_A_STRIDE = 16  # fewer crashed with strides of 2 (oneDNN in TensorFlow 2.21)
RNN_KEPT_PER_UNIT = 2  # at each step: the sum and its activation


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a layer costs.

    Attributes:
        output: the shape that it gives for one sample.
        parameters: trainable weights.
        forward: FLOPs of one sample.
        inner: FLOPs of the backward pass beyond the weights' gradients, always needed.
        to_input: FLOPs of the input's gradient, needed where a weight lies before the input.
        kept: values held for the backward pass beyond the output.
    """

    output: Shape
    parameters: int = 0
    forward: int = 0
    inner: int = 0
    to_input: int = 0
    kept: int = 0


Arithmetic = Callable[[str, Options, tuple[Layer, ...]], Figures]


def one(place: str, sources: tuple[Layer, ...], rank: int, form: str) -> Shape:
    """The shape of the only input, of a known rank.

    Raises:
        SpecError: it has another one.
    """
    shape = sources[0].output_shape
    if len(shape) != rank:
        refuse(place, f"an input of {form} for one sample", shape)
    return shape


def same(_: str, __: Options, sources: tuple[Layer, ...]) -> Figures:
    """A layer without weights that keeps the shape."""
    return Figures(output=sources[0].output_shape)


def of_rank(rank: int, form: str) -> Arithmetic:
    """As `same`, for inputs of one rank alone."""

    def figures(place: str, _: Options, sources: tuple[Layer, ...]) -> Figures:
        return Figures(output=one(place, sources, rank, form))

    return figures


def softmax(place: str, options: Options, sources: tuple[Layer, ...]) -> Figures:
    """Softmax along one axis."""
    axis(f"{place}.config.axis", options["axis"], len(sources[0].output_shape))
    return same(place, options, sources)


def axis(place: str, given: int, rank: int) -> int:
    """The axis of a sample that a config's axis stands for, which counts the batch as axis 0.

    Raises:
        SpecError: there is no such axis, or it is the batch.
    """
    counted = given + rank + 1 if given < 0 else given
    if not 1 <= counted <= rank:
        refuse(place, f"an axis from 1 to {rank} or from {-rank} to -1", given)
    return counted - 1


# -- shapes ---------------------------------------------------------------------------------------


def flatten(_: str, __: Options, sources: tuple[Layer, ...]) -> Figures:
    """All values of a sample in one row."""
    return Figures(output=(prod(sources[0].output_shape),))


def reshape(place: str, options: Options, sources: tuple[Layer, ...]) -> Figures:
    """The same values in another shape, of which one axis may be -1, for what is left."""
    target, values = options["target_shape"], prod(sources[0].output_shape)
    known = prod(side for side in target if side != -1)
    output = tuple(values // known if side == -1 else side for side in target)
    if target.count(-1) > 1 or prod(output) != values:
        refuse(f"{place}.config.target_shape", f"a shape of the {values:,} values", target)
    return Figures(output=output)


def permute(place: str, options: Options, sources: tuple[Layer, ...]) -> Figures:
    """The axes in another order; they count from 1."""
    shape, dims = sources[0].output_shape, options["dims"]
    if sorted(dims) != list(range(1, len(shape) + 1)):
        refuse(f"{place}.config.dims", f"each axis from 1 to {len(shape)} once", dims)
    return Figures(output=tuple(shape[dim - 1] for dim in dims))


def repeat(place: str, options: Options, sources: tuple[Layer, ...]) -> Figures:
    """A row becomes a sequence of equal rows."""
    return Figures(output=(options["n"], *one(place, sources, 1, "(features)")))


def zero_padding(axes: int) -> Arithmetic:
    """Zeros before and after each axis but the channels."""

    def figures(place: str, options: Options, sources: tuple[Layer, ...]) -> Figures:
        *outer, channels = one(place, sources, axes + 1, SPATIAL[axes])
        padding = options["padding"] if axes > 1 else (options["padding"],)
        added = (sum(pair) for pair in padding)
        return Figures(output=(*map(sum, zip(outer, added, strict=True)), channels))

    return figures


def up_sampling(axes: int) -> Arithmetic:
    """Every axis but the channels grows by a factor."""

    def figures(place: str, options: Options, sources: tuple[Layer, ...]) -> Figures:
        *outer, channels = one(place, sources, axes + 1, SPATIAL[axes])
        size = options["size"]
        return Figures(output=(*map(prod, zip(outer, size, strict=True)), channels))

    return figures


SPATIAL = {1: "(steps, channels)", 2: "(height, width, channels)"}


# -- dense, convolutions and pooling --------------------------------------------------------------


def dense(_: str, options: Options, sources: tuple[Layer, ...]) -> Figures:
    """A dense layer on the last axis."""
    *outer, features = sources[0].output_shape
    units = options["units"]
    forward = 2 * prod(outer) * features * units
    return Figures(
        output=(*outer, units),
        parameters=(features + options["use_bias"]) * units,
        forward=forward,
        to_input=forward,
    )


def windows(place: str, shape: Shape, options: Options, sizes: Shape) -> Shape:
    """How many windows of a size fit along each axis, with the options' strides and padding.

    "valid": floor((n - k) / s) + 1, else floor((n - 1) / s) + 1, as in Keras' operation_utils.

    Raises:
        SpecError: not one fits.
    """
    lost = [size - 1 if options["padding"] == "valid" else 0 for size in sizes]
    if any(side <= less for side, less in zip(shape, lost, strict=True)):
        refuse(place, f"an input of at least {list(sizes)} without padding", shape)
    axes = zip(shape, lost, options["strides"], strict=True)
    return tuple((side - less - 1) // stride + 1 for side, less, stride in axes)


def _spread(place: str, options: Options) -> Shape:
    """The sides of a kernel with its dilation, which Keras takes without strides alone."""
    dilation, strides = options["dilation_rate"], options["strides"]
    if max(dilation) > 1 and max(strides) > 1:
        refuse(f"{place}.config.dilation_rate", f"1 with strides of {list(strides)}", dilation)
    sides = zip(options["kernel_size"], dilation, strict=True)
    return tuple((kernel - 1) * rate + 1 for kernel, rate in sides)


def convolution(axes: int) -> Arithmetic:
    """A convolution over one or two axes, in which each group of filters reads its channels."""

    def figures(place: str, options: Options, sources: tuple[Layer, ...]) -> Figures:
        *outer, channels = one(place, sources, axes + 1, SPATIAL[axes])
        _harmless(place, options, channels)
        output = windows(place, tuple(outer), options, _spread(place, options))
        filters, groups = options["filters"], options["groups"]
        if channels % groups or filters % groups:
            expected = f"a divisor of {channels:,} channels and {filters:,} filters"
            refuse(f"{place}.config.groups", expected, groups)
        weights = prod(options["kernel_size"]) * channels // groups
        forward = 2 * prod(output) * weights * filters
        return Figures(
            output=(*output, filters),
            parameters=(weights + options["use_bias"]) * filters,
            forward=forward,
            to_input=forward,
        )

    return figures


def _harmless(place: str, options: Options, channels: int) -> None:
    """The gradient of some convolutions writes beyond its memory: oneDNN issue 6035.

    Raises:
        SpecError: it is one of them.
    """
    one_by_one = max(options["kernel_size"]) == 1 and max(options["strides"]) > 1
    if one_by_one and channels < CHANNELS_OF_A_STRIDE:
        expected = (
            f"1: a kernel of 1 with a larger stride needs {CHANNELS_OF_A_STRIDE} channels here; "
            "a pooling layer of size 1 with that stride before it computes the same"
        )
        refuse(f"{place}.config.strides", expected, options["strides"])


def depthwise(place: str, options: Options, sources: tuple[Layer, ...]) -> Figures:
    """A convolution of every channel by itself (Howard et al. 2017, section 3.1)."""
    output, forward = _depthwise(place, options, sources)
    kernel = prod(options["kernel_size"])
    parameters = (kernel + options["use_bias"]) * output[-1]
    return Figures(output=output, parameters=parameters, forward=forward, to_input=forward)


def separable(place: str, options: Options, sources: tuple[Layer, ...]) -> Figures:
    """A depthwise convolution, then one of 1×1 that mixes the channels."""
    (*outer, channels), first = _depthwise(place, options, sources)
    filters = options["filters"]
    second = 2 * prod(outer) * channels * filters
    return Figures(
        output=(*outer, filters),
        parameters=prod(options["kernel_size"]) * channels
        + (channels + options["use_bias"]) * filters,
        forward=first + second,
        inner=second,
        to_input=first,
        kept=prod(outer) * channels,
    )


def _depthwise(place: str, options: Options, sources: tuple[Layer, ...]) -> tuple[Shape, int]:
    """Output shape and FLOPs."""
    *outer, channels = one(place, sources, 3, SPATIAL[2])
    if len(set(options["strides"])) > 1:  # TensorFlow's depthwise kernel takes no others
        refuse(f"{place}.config.strides", "the same stride along both axes", options["strides"])
    output = windows(place, tuple(outer), options, _spread(place, options))
    made = channels * options["depth_multiplier"]
    return (*output, made), 2 * prod(output) * made * prod(options["kernel_size"])


def pooling(axes: int) -> Arithmetic:
    """The largest or the mean value of each window; strides of null are the window's size."""

    def figures(place: str, options: Options, sources: tuple[Layer, ...]) -> Figures:
        *outer, channels = one(place, sources, axes + 1, SPATIAL[axes])
        strides = options["strides"] or options["pool_size"]
        known = {**options, "strides": strides}
        return Figures(output=(*windows(place, tuple(outer), known, known["pool_size"]), channels))

    return figures


def global_pooling(axes: int) -> Arithmetic:
    """One value a channel."""

    def figures(place: str, options: Options, sources: tuple[Layer, ...]) -> Figures:
        *_, channels = one(place, sources, axes + 1, SPATIAL[axes])
        return Figures(output=(*(1,) * axes * options["keepdims"], channels))

    return figures


# -- normalisation and merging --------------------------------------------------------------------


def normalization(place: str, options: Options, sources: tuple[Layer, ...]) -> Figures:
    """A factor and an offset for each value of the last axis; moving statistics are not trained."""
    shape = sources[0].output_shape
    if axis(f"{place}.config.axis", options["axis"], len(shape)) != len(shape) - 1:
        refuse(f"{place}.config.axis", "-1, the last axis", options["axis"])
    return Figures(output=shape, parameters=shape[-1] * (options["center"] + options["scale"]))


def merge(place: str, _: Options, sources: tuple[Layer, ...]) -> Figures:
    """Value by value; an axis of 1 is repeated along the others' axis."""
    shapes = [source.output_shape for source in sources]
    if len({len(shape) for shape in shapes}) > 1:
        refuse(place, f"inputs of as many axes as the first, {list(shapes[0])}", shapes[-1])
    output = tuple(map(max, zip(*shapes, strict=True)))
    for shape in shapes:
        if any(side not in {1, most} for side, most in zip(shape, output, strict=True)):
            refuse(place, f"inputs whose axes are 1 or those of {list(output)}", shape)
    return Figures(output=output)


def concatenate(place: str, options: Options, sources: tuple[Layer, ...]) -> Figures:
    """One behind the other along an axis; the other axes agree."""
    first = sources[0].output_shape
    along = axis(f"{place}.config.axis", options["axis"], len(first))
    for shape in (source.output_shape for source in sources):
        if (len(shape), *without(shape, along)) != (len(first), *without(first, along)):
            expected = f"inputs that agree with {list(first)} in all axes but {along + 1}"
            refuse(place, expected, shape)
    total = sum(source.output_shape[along] for source in sources)
    return Figures(output=(*first[:along], total, *first[along + 1 :]))


def without(shape: Shape, along: int) -> Shape:
    """A shape less one of its axes."""
    return (*shape[:along], *shape[along + 1 :])


# -- recurrent layers and attention ---------------------------------------------------------------


def recurrent(gates: int, kept: int) -> Arithmetic:
    """A recurrent layer: at every step each gate reads the input and the state.

    A GRU that resets after the product has a second bias (Keras' `reset_after`).

    Args:
        gates: 4 of an LSTM, 3 of a GRU, 1 of the plain one.
        kept: values a unit that are held at each step, with the output.
    """

    def figures(place: str, options: Options, sources: tuple[Layer, ...]) -> Figures:
        steps, features = one(place, sources, 2, "(steps, features)")
        units = options["units"]
        rows = features + units + (1 + options.get("reset_after", False)) * options["use_bias"]
        from_input = 2 * steps * features * gates * units
        from_state = 2 * steps * units * gates * units
        output = (steps, units) if options["return_sequences"] else (units,)
        return Figures(
            output=output,
            parameters=rows * gates * units,
            forward=from_input + from_state,
            inner=from_state,
            to_input=from_input,
            kept=kept * steps * units - prod(output),
        )

    return figures


lstm = recurrent(4, LSTM_KEPT_PER_UNIT)
gru = recurrent(3, GRU_KEPT_PER_UNIT)
simple_rnn = recurrent(1, RNN_KEPT_PER_UNIT)


def attention(place: str, options: Options, sources: tuple[Layer, ...]) -> Figures:
    """Scaled dot-product attention with several heads (Vaswani et al. 2017, section 3.2).

    The inputs are query, value and, where it is not the value, key.
    """
    query, value, key = _attended(place, sources)
    heads, bias = options["num_heads"], options["use_bias"]
    by_key = heads * options["key_dim"]
    by_value = heads * (options["value_dim"] or options["key_dim"])
    (steps, features), (others, _) = query.output_shape, value.output_shape
    sides = ((query, by_key), (key, by_key), (value, by_value))
    projections = [2 * prod(side.output_shape) * width for side, width in sides]
    products = 2 * steps * others * (by_key + by_value)
    out = 2 * steps * by_value * features
    weights = sum((side.output_shape[-1] + bias) * width for side, width in sides)
    return Figures(
        output=(steps, features),
        parameters=weights + (by_value + bias) * features,
        forward=sum(projections) + products + out,
        inner=products + out,
        to_input=sum(
            flops for (side, _), flops in zip(sides, projections, strict=True) if not side.untrained
        ),
        kept=(steps + others) * by_key
        + (steps + others) * by_value
        + heads * steps * others * (2 if options["dropout"] == 0 else 3),
    )


def _attended(place: str, sources: tuple[Layer, ...]) -> tuple[Layer, Layer, Layer]:
    """Query, value and key: sequences, the last two of the same number of steps."""
    for source in sources:
        one(place, (source,), 2, "(steps, features)")
    query, value, key = sources if len(sources) == 3 else (*sources, sources[1])
    if key.output_shape[0] != value.output_shape[0]:
        expected = f"a key of the value's {value.output_shape[0]:,} steps"
        refuse(place, expected, key.output_shape)
    return query, value, key
