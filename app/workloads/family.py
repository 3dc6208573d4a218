"""What a family of models is: words for people, the shapes it takes, and its layers for a size."""

from collections.abc import Callable
from dataclasses import dataclass

from app.workloads.layers import Layer, Shape


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of models, as data.

    Attributes:
        name: `model_type` in a spec.
        title: for people.
        description: the architecture, and what width and depth change.
        concept: the source's concept with its formula.
        expected_shape: which data it takes, in words.
        input_shape: the shape of one sample as the model reads it, from the data set's; null where
            the data do not fit.
        layers: the layers of (input shape, classes, width, depth), in the order of computation,
            the data's entry first.
    """

    name: str
    title: str
    description: str
    concept: str
    expected_shape: str
    input_shape: Callable[[Shape], Shape | None]
    layers: Callable[[Shape, int, float, int], tuple[Layer, ...]]


def sequence(shape: Shape) -> Shape | None:
    """Two axes are steps × features; anything else is no sequence."""
    return shape if len(shape) == 2 else None
