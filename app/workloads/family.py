"""What a family of models is: words for people, the shapes it takes, and its layers for a size."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from app.domain.errors import FieldError
from app.domain.specs import ExplicitSize, JobSpec, SizeName
from app.workloads.layers import Layer, Shape

WIDTHS: Mapping[SizeName, ExplicitSize] = {
    "tiny": ExplicitSize(width=0.25, depth=1),
    "small": ExplicitSize(width=0.5, depth=1),
    "base": ExplicitSize(width=1, depth=1),  # the source's
    "medium": ExplicitSize(width=2, depth=1),
    "large": ExplicitSize(width=4, depth=1),
}


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
        sizes: what each name of a size stands for.
        trainer: the library that trains it.
        problems: what of a spec this family cannot honour.
        flops_reason: why no FLOPs are stated; null where they are.
        parameters_reason: why no parameters are stated; null where they are.
    """

    name: str
    title: str
    description: str
    concept: str
    expected_shape: str
    input_shape: Callable[[Shape], Shape | None]
    layers: Callable[[Shape, int, float, int], tuple[Layer, ...]]
    sizes: Mapping[SizeName, ExplicitSize] = field(default_factory=lambda: WIDTHS)
    trainer: Literal["keras", "scikit-learn"] = "keras"
    problems: Callable[[JobSpec], tuple[FieldError, ...]] = lambda _: ()
    flops_reason: str | None = None
    parameters_reason: str | None = None


def sequence(shape: Shape) -> Shape | None:
    """Two axes are steps × features; anything else is no sequence."""
    return shape if len(shape) == 2 else None
