"""A multilayer perceptron: dense layers with ReLU on the values of a sample in one row.

Base (width 1, depth 2): two hidden layers of 256 with ReLU, then a dense layer with softmax over
the classes. Width multiplies the hidden layers; depth is their number. The sizes differ in width.
"""

from collections.abc import Mapping

from app.domain.specs import ExplicitSize, SizeName
from app.workloads.family import Family
from app.workloads.layers import Layer, Shape, dense, entry, flatten, scaled

HIDDEN = 256
SIZES: Mapping[SizeName, ExplicitSize] = {
    "tiny": ExplicitSize(width=0.25, depth=2),
    "small": ExplicitSize(width=0.5, depth=2),
    "base": ExplicitSize(width=1, depth=2),
    "medium": ExplicitSize(width=2, depth=2),
    "large": ExplicitSize(width=4, depth=2),
}


def input_shape(shape: Shape) -> Shape:
    """Every shape fits: the first layer makes a row of it."""
    return shape


def layers(shape: Shape, classes: int, width: float, depth: int) -> tuple[Layer, ...]:
    """The layers for a sample of any shape."""
    data = entry(shape)
    chain = [data, flatten("flatten", data)]
    for block in range(1, depth + 1):
        chain.append(dense(f"hidden{block}", chain[-1], scaled(HIDDEN, width), "relu"))
    chain.append(dense("classes", chain[-1], classes, "softmax"))
    return tuple(chain)


FAMILY = Family(
    name="mlp",
    title="Multilayer perceptron",
    description=(
        "All values of a sample in one row, two hidden layers of 256 with ReLU, softmax. Width "
        "multiplies the hidden layers; depth is their number (2 in every named size)."
    ),
    concept="multilayer perceptron (MLP): h = max(0, W x + b), layer upon layer",
    expected_shape="data of any shape",
    input_shape=input_shape,
    layers=layers,
    sizes=SIZES,
)
