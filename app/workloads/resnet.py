"""The residual network for small images of He et al. (2016), section 4.2: 6n + 2 layers.

Base (width 1, depth 3) is ResNet-20: a 3×3 convolution of 16 filters, then three stages of 16, 32
and 64 filters with n = 3 blocks each, the mean over the image, a dense layer with softmax over the
classes. A block is two 3×3 convolutions whose result is added to the block's input, with ReLU after
the sum. The first block of the second and third stage halves the image (stride 2); its shortcut is
a 1×1 convolution of stride 2, all others are identities (the paper's option B; its own networks of
this form use option A, which pads with zeros). A batch normalization follows every convolution,
which therefore has no bias. Width multiplies the filters; depth is n.

The 1×1 convolution of stride 2 is written as what it is, a 1×1 convolution of every other row and
column: given as one layer, oneDNN's gradient for its kernel writes outside of its memory where the
input has fewer than 16 channels (uxlfoundation/oneDNN issue 6035; seen with TensorFlow 2.21).
"""

from collections.abc import Mapping

from app.domain.specs import ExplicitSize, SizeName
from app.workloads.family import Family
from app.workloads.layers import (
    Layer,
    Shape,
    add,
    average_over_image,
    batch_normalization,
    conv2d,
    dense,
    entry,
    every_other,
    relu,
    scaled,
)

STAGES = (16, 32, 64)  # filters
SMALLEST_SIDE = 4  # halved twice it is 1
MOMENTUM = 0.9  # Keras' 0.99 would need some 500 steps to forget where the statistics began
SIZES: Mapping[SizeName, ExplicitSize] = {
    "tiny": ExplicitSize(width=0.25, depth=1),  # ResNet-8
    "small": ExplicitSize(width=0.5, depth=2),  # ResNet-14
    "base": ExplicitSize(width=1, depth=3),  # ResNet-20
    "medium": ExplicitSize(width=2, depth=5),  # ResNet-32
    "large": ExplicitSize(width=4, depth=7),  # ResNet-44
}


def input_shape(shape: Shape) -> Shape | None:
    """(height, width) gets one channel; (height, width, channels) stays; at least 4 × 4."""
    if len(shape) not in {2, 3} or min(shape[:2]) < SMALLEST_SIDE:
        return None
    return shape if len(shape) == 3 else (*shape, 1)


def layers(shape: Shape, classes: int, width: float, depth: int) -> tuple[Layer, ...]:
    """The layers for an image of (height, width, channels)."""
    data = entry(shape)
    chain = [data, *_normalized("entry", data, scaled(STAGES[0], width))]
    chain.append(relu("entry_relu", chain[-1]))
    for stage, filters in enumerate(STAGES, start=1):
        for block in range(1, depth + 1):
            halved = stage > 1 and block == 1
            chain += _block(f"block{stage}_{block}", chain[-1], scaled(filters, width), halved)
    chain.append(average_over_image("average", chain[-1]))
    chain.append(dense("classes", chain[-1], classes, "softmax"))
    return tuple(chain)


def _block(name: str, source: Layer, filters: int, halved: bool) -> tuple[Layer, ...]:
    """Two convolutions and a shortcut around them."""
    strides = 2 if halved else 1
    one = _normalized(f"{name}_1", source, filters, strides=strides)
    inner = relu(f"{name}_1_relu", one[-1])
    two = _normalized(f"{name}_2", inner, filters)
    way = _projected(f"{name}_shortcut", source, filters) if halved else ()
    total = add(f"{name}_add", two[-1], way[-1] if halved else source)
    return *one, inner, *two, *way, total, relu(f"{name}_relu", total)


def _projected(name: str, source: Layer, filters: int) -> tuple[Layer, ...]:
    """The shortcut where image and filters change: a 1×1 convolution of stride 2."""
    fewer = every_other(f"{name}_every_other", source)
    return fewer, *_normalized(name, fewer, filters, kernel=1)


def _normalized(
    name: str, source: Layer, filters: int, *, kernel: int = 3, strides: int = 1
) -> tuple[Layer, Layer]:
    """A convolution and its batch normalization."""
    convolution = conv2d(
        name,
        source,
        filters,
        "same",
        kernel=kernel,
        strides=strides,
        bias=False,
        activation="linear",
    )
    return convolution, batch_normalization(f"{name}_norm", convolution, MOMENTUM)


FAMILY = Family(
    name="resnet",
    title="Residual network",
    description=(
        "ResNet-20 for small images: a 3×3 convolution, three stages of three residual blocks (16, "
        "32 and 64 filters; two 3×3 convolutions with batch normalization each), the mean over the "
        "image, softmax. Width multiplies the filters; depth is the number of blocks in a stage."
    ),
    concept="residual network (ResNet): y = max(0, F(x) + x)",
    expected_shape=(
        f"an image [height, width] or [height, width, channels] of at least "
        f"{SMALLEST_SIDE} × {SMALLEST_SIDE}"
    ),
    input_shape=input_shape,
    layers=layers,
    sizes=SIZES,
)
