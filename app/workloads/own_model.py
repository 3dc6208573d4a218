"""The family of models that users bring along: `model_type` "keras" with an `architecture`."""

from dataclasses import replace
from typing import Any

from app.domain.errors import FieldError
from app.domain.specs import ExplicitSize, JobSpec
from app.workloads import architecture
from app.workloads.datasets import DatasetFacts
from app.workloads.family import Family
from app.workloads.layers import Layer, Shape
from app.workloads.memory import own_memory_bytes

NAME = "keras"
TO_JSON = "the object that json.loads(model.to_json()) gives"


def of(spec: JobSpec) -> Family:
    """The family of the one model that the spec describes."""

    def layers(shape: Shape, classes: int, _width: float, _depth: int) -> tuple[Layer, ...]:
        return architecture.layers(spec.architecture, shape, classes)

    def memory(data: DatasetFacts, spec: JobSpec) -> int:
        compiled = spec.execution.jit_compile is True
        read = architecture.layers(spec.architecture, data.shape, data.classes)
        return own_memory_bytes(read, data, spec.batch_size, compiled=compiled)

    return replace(FAMILY, layers=layers, memory=memory)


def refused(spec: JobSpec) -> tuple[FieldError, ...]:
    """An architecture without a model type that takes one, or the other way round."""
    given = spec.architecture is not None
    if given is (spec.model_type == NAME):
        return ()
    expected = f"null: only the model type {NAME} takes one" if given else TO_JSON
    received: Any = "an architecture" if given else None
    return (FieldError(field="architecture", expected=expected, received=received),)


def _problems(spec: JobSpec) -> tuple[FieldError, ...]:
    if spec.size == JobSpec.model_fields["size"].default:
        return ()
    expected = f"{JobSpec.model_fields['size'].default}: an architecture has its own size"
    received = spec.size if isinstance(spec.size, str) else spec.size.model_dump()
    return (FieldError(field="size", expected=expected, received=received),)


FAMILY = Family(
    name=NAME,
    title="A Keras model of your own",
    description=(
        "Built from the JSON that Keras' model.to_json() writes, of built-in layers; its weights "
        "begin at its initialisers."
    ),
    concept="any feed-forward or recurrent network of the layers that are listed",
    expected_shape="data of the shape of the model's input",
    input_shape=lambda shape: shape,
    layers=lambda shape, classes, _width, _depth: architecture.layers(None, shape, classes),
    sizes={"base": ExplicitSize(width=1, depth=1)},  # its own
    problems=_problems,
)
