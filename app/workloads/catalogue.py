"""The explicit catalogue of what can be trained, and the facts of a spec's training."""

from typing import Any, get_args

from app.domain.errors import FieldError, SpecError
from app.domain.specs import Dataset, ExplicitSize, JobSpec, Size, SizeName, WorkloadFacts
from app.workloads import attention, cnn, datasets, rnn
from app.workloads.datasets import DATASETS, DatasetFacts
from app.workloads.family import Family
from app.workloads.layers import Layer
from app.workloads.memory import memory_bytes

FAMILIES: dict[str, Family] = {
    "cnn": cnn.FAMILY,
    "rnn": rnn.FAMILY,
    "attention": attention.FAMILY,
}


def facts(spec: JobSpec) -> WorkloadFacts:
    """What follows from the spec by arithmetic.

    Raises:
        SpecError: the model type or data set is unknown, the shape does not fit the model, or
            there are too few or too many samples; each field is named.
    """
    layers = plan(spec)
    family, data = FAMILIES[spec.model_type], datasets.facts(spec.dataset)
    return WorkloadFacts(
        parameters=None if family.parameters_reason else parameters(layers),
        layers=count(layers),
        flops_per_sample=None if family.flops_reason else flops(layers),
        flops_reason=family.flops_reason,
        parameters_reason=family.parameters_reason,
        input_shape=layers[0].output_shape,
        classes=data.classes,
        training_samples=data.training_samples,
        validation_samples=data.validation_samples,
        test_samples=data.test_samples,
        memory_bytes=memory_bytes(layers, data, spec.batch_size),
    )


def plan(spec: JobSpec) -> tuple[Layer, ...]:
    """The layers of the spec's model, the data's entry first.

    Raises:
        SpecError: as `facts`.
    """
    if errors := (*_type_problems(spec), *datasets.problems(spec.dataset)):
        raise SpecError(*errors)
    if errors := FAMILIES[spec.model_type].problems(spec):
        raise SpecError(*errors)
    family, data = FAMILIES[spec.model_type], datasets.facts(spec.dataset)
    shape = family.input_shape(data.shape)
    if shape is None:
        expected = f"{family.expected_shape} for {family.name}"
        raise SpecError(_error("dataset.shape", expected, data.shape))
    if spec.batch_size > data.training_samples:
        expected = f"at most the {data.training_samples:,} training samples"
        raise SpecError(_error("batch_size", expected, spec.batch_size))
    size = explicit(family, spec.size)
    return family.layers(shape, data.classes, size.width, size.depth)


def explicit(family: Family, size: Size) -> ExplicitSize:
    """Width and depth of a size that is given by name or by hand."""
    return size if isinstance(size, ExplicitSize) else family.sizes[size]


def count(layers: tuple[Layer, ...]) -> int:
    """Layers of the model; the data's entry is none."""
    return sum(layer.kind != "Input" for layer in layers)


def parameters(layers: tuple[Layer, ...]) -> int:
    """Trainable weights."""
    return sum(layer.parameters for layer in layers)


def flops(layers: tuple[Layer, ...]) -> int:
    """FLOPs of one sample, forward and backward."""
    return sum(layer.flops_forward + layer.flops_backward for layer in layers)


def listing() -> dict[str, Any]:
    """Every model type with its sizes on its default data set, and every data set, as JSON."""
    return {
        "model_types": [_family(family) for family in FAMILIES.values()],
        "datasets": [_dataset(data) for data in DATASETS.values()],
    }


def _family(family: Family) -> dict[str, Any]:
    return {
        "name": family.name,
        "title": family.title,
        "description": family.description,
        "concept": family.concept,
        "datasets": list(DATASETS),
        "default_dataset": Dataset().name,
        "sizes": {name: _size(family, name) for name in get_args(SizeName)},
    }


def _size(family: Family, name: SizeName) -> dict[str, Any]:
    known = facts(JobSpec(model_type=family.name, size=name))
    return {
        "width": family.sizes[name].width,
        "depth": family.sizes[name].depth,
        "parameters": known.parameters,
        "parameters_reason": known.parameters_reason,
        "layers": known.layers,
        "flops_per_sample": known.flops_per_sample,
        "flops_reason": known.flops_reason,
        "memory_bytes": known.memory_bytes,
    }


def _dataset(data: DatasetFacts) -> dict[str, Any]:
    return {
        "name": data.name,
        "title": data.title,
        "shape": list(data.shape),
        "classes": data.classes,
        "training_samples": data.training_samples,
        "validation_samples": data.validation_samples,
        "test_samples": data.test_samples,
        "max_training_samples": data.max_training_samples,
    }


def _type_problems(spec: JobSpec) -> tuple[FieldError, ...]:
    if spec.model_type in FAMILIES:
        return ()
    return (_error("model_type", f"one of {', '.join(FAMILIES)}", spec.model_type),)


def _error(field: str, expected: str, received: Any) -> FieldError:
    return FieldError(field=field, expected=expected, received=received)
