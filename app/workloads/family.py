"""What a family of models is: words for people, the shapes it takes, and its layers for a size."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from operator import attrgetter
from typing import Any, Literal

from app.domain.errors import FieldError
from app.domain.specs import ExplicitSize, JobSpec, Size, SizeName
from app.workloads.datasets import DatasetFacts
from app.workloads.layers import Layer, Shape
from app.workloads.memory import FLOAT_BYTES

WIDTHS: Mapping[SizeName, ExplicitSize] = {
    "tiny": ExplicitSize(width=0.25, depth=1),
    "small": ExplicitSize(width=0.5, depth=1),
    "base": ExplicitSize(width=1, depth=1),  # the source's
    "medium": ExplicitSize(width=2, depth=1),
    "large": ExplicitSize(width=4, depth=1),
}

SCIKIT_LEARN: Mapping[str, tuple[Any, ...]] = {  # what its training can honour, by field of a spec
    "batch_size": (JobSpec.model_fields["batch_size"].default,),
    "execution.mode": ("graph",),
    "execution.precision": ("float32", "auto"),
    "execution.jit_compile": ("auto", False),
    "execution.steps_per_execution": ("auto",),
    "execution.input_pipeline": ("auto",),
}
SCIKIT_LEARN_BYTES = 335_000_000  # measured: resident peak of the smallest trainings, less the rest


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
            the data's entry first; where Keras trains it, a softmax over the classes last.
        sizes: what each name of a size stands for.
        trainer: the library that trains it; Keras where a package brings it.
        problems: what of a spec this family cannot honour.
        flops_reason: why no FLOPs are stated; null where they are.
        parameters_reason: why no parameters are stated; null where they are.
        memory: the estimate of (data, spec), in bytes; null where that from the layers holds.
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
    memory: Callable[[DatasetFacts, JobSpec], int] | None = None

    def explicit(self, size: Size) -> ExplicitSize:
        """Width and depth of a size that is given by name or by hand."""
        return size if isinstance(size, ExplicitSize) else self.sizes[size]


def sequence(shape: Shape) -> Shape | None:
    """Two axes are steps × features; anything else is no sequence."""
    return shape if len(shape) == 2 else None


def scikit_learn_bytes(data: DatasetFacts) -> int:
    """Memory of a process that trains by scikit-learn, and of the data set and one copy of it."""
    samples = data.held_samples
    return SCIKIT_LEARN_BYTES + 2 * FLOAT_BYTES * samples * prod(data.shape)


def unhonoured(
    spec: JobSpec, honoured: Mapping[str, tuple[Any, ...]], trainer: str
) -> tuple[FieldError, ...]:
    """The fields of a spec whose values a trainer has no use for.

    Args:
        spec: what is asked for.
        honoured: the values that can be had, by the path of the field; of others nothing is said.
        trainer: who can honour no more, for the sentence.
    """
    received = {path: attrgetter(path)(spec) for path in honoured}
    return tuple(
        FieldError(
            field=path,
            expected=f"{_either(values)}: {trainer} has no other for {spec.model_type}",
            received=received[path],
        )
        for path, values in honoured.items()
        if received[path] not in values
    )


def _either(values: tuple[Any, ...]) -> str:
    return " or ".join(str(value).lower() for value in values)
