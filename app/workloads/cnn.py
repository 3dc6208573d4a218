"""The convolutional network of the source: two stages of convolution and pooling, then two layers.

Base (width 1, depth 1): 32 and 64 filters of 3×3 without padding, each stage with 2×2 max pooling,
a dense layer of 128 with ReLU, a dense layer with softmax over the classes. Width multiplies
filters and the dense layer; depth is the number of convolutions in each stage, of which those after
the first keep the image's size ("same" padding), so that every depth fits where depth 1 does.
"""

from app.workloads.family import Family
from app.workloads.layers import (
    Layer,
    Padding,
    Shape,
    conv2d,
    dense,
    entry,
    flatten,
    max_pool,
    scaled,
)

STAGES = (32, 64)  # filters of the source's two convolutions
HIDDEN = 128  # the source's dense layer
SMALLEST_SIDE = 10  # (10 - 2) / 2 = 4, (4 - 2) / 2 = 1: the least that leaves one value


def input_shape(shape: Shape) -> Shape | None:
    """(height, width) gets one channel; (height, width, channels) stays; at least 10 × 10."""
    if len(shape) not in {2, 3} or min(shape[:2]) < SMALLEST_SIDE:
        return None
    return shape if len(shape) == 3 else (*shape, 1)


def layers(shape: Shape, classes: int, width: float, depth: int) -> tuple[Layer, ...]:
    """The layers for an image of (height, width, channels)."""
    chain = [entry(shape)]
    for stage, filters in enumerate(STAGES, start=1):
        for block in range(1, depth + 1):
            padding: Padding = "valid" if block == 1 else "same"
            chain.append(conv2d(f"conv{stage}_{block}", chain[-1], scaled(filters, width), padding))
        chain.append(max_pool(f"pool{stage}", chain[-1]))
    chain.append(flatten("flatten", chain[-1]))
    chain.append(dense("hidden", chain[-1], scaled(HIDDEN, width), "relu"))
    chain.append(dense("classes", chain[-1], classes, "softmax"))
    return tuple(chain)


FAMILY = Family(
    name="cnn",
    title="Convolutional neural network",
    description=(
        "Two stages of 3×3 convolution and 2×2 max pooling (32 and 64 filters), a dense layer of "
        "128, softmax. Width multiplies filters and the dense layer; depth is the number of "
        "convolutions in each stage."
    ),
    concept="convolutional neural network (CNN): y = f(Wx + b)",
    expected_shape=(
        f"an image [height, width] or [height, width, channels] of at least "
        f"{SMALLEST_SIDE} × {SMALLEST_SIDE}"
    ),
    input_shape=input_shape,
    layers=layers,
)
