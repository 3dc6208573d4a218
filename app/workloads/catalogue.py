"""The explicit catalogue of what can be trained, and the facts of a spec's training."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from app.domain.errors import FieldError, SpecError
from app.domain.external import EXTERNAL
from app.domain.specs import Dataset, JobSpec, SizeName, WorkloadFacts
from app.workloads import (
    attention,
    cnn,
    datasets,
    gru,
    mlp,
    own_model,
    plugins,
    random_forest,
    resnet,
    rnn,
    svm,
    transformer,
)
from app.workloads.datasets import DATASETS, DatasetFacts
from app.workloads.family import Family
from app.workloads.layers import Layer
from app.workloads.memory import memory_bytes

OWN: dict[str, Family] = {
    "cnn": cnn.FAMILY,
    "rnn": rnn.FAMILY,
    "attention": attention.FAMILY,
    "gru": gru.FAMILY,
    "mlp": mlp.FAMILY,
    "transformer": transformer.FAMILY,
    "resnet": resnet.FAMILY,
    "svm": svm.FAMILY,
    "random_forest": random_forest.FAMILY,
    "keras": own_model.FAMILY,
}


@cache
def families() -> Mapping[str, Family]:
    """Ours, and those of installed packages; asked for once, for loading those runs their code."""
    return {**OWN, **plugins.families({*OWN, EXTERNAL})}


def family_of(spec: JobSpec) -> Family:
    """The family of a spec whose model type is known."""
    return own_model.of(spec) if spec.model_type == own_model.NAME else families()[spec.model_type]


def model_types() -> str:
    """Every name of a family, for a sentence."""
    return f"one of {', '.join(families())}"


def facts(spec: JobSpec) -> WorkloadFacts:
    """What follows from the spec by arithmetic.

    Raises:
        SpecError: the model type or data set is unknown, the shape does not fit the model, or
            there are too few or too many samples; each field is named.
    """
    layers = plan(spec)
    family, data = family_of(spec), datasets.facts(spec.dataset)
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
        memory_bytes=_memory_bytes(family, layers, data, spec),
    )


def known_facts(spec: JobSpec) -> WorkloadFacts:
    """The facts for a report, which is made whatever becomes of a job.

    They are null, with the reason, where this process cannot train the spec that another one has
    taken: it is of another version, or lacks the package that brings the family.
    """
    try:
        return facts(spec)
    except SpecError as error:
        reason = f"not known where the job ended: {error}"
        return WorkloadFacts(
            parameters=None,
            layers=0,
            flops_per_sample=None,
            flops_reason=reason,
            parameters_reason=reason,
            input_shape=(),
            classes=0,
            training_samples=0,
            validation_samples=0,
            test_samples=0,
            memory_bytes=0,
        )


def plan(spec: JobSpec) -> tuple[Layer, ...]:
    """The layers of the spec's model, the data's entry first.

    Raises:
        SpecError: as `facts`.
    """
    if errors := (*_type_problems(spec), *datasets.problems(spec.dataset)):
        raise SpecError(*errors)
    family, data = family_of(spec), datasets.facts(spec.dataset)
    if errors := (*own_model.refused(spec), *family.problems(spec)):
        raise SpecError(*errors)
    shape = family.input_shape(data.shape)
    if shape is None:
        expected = f"{family.expected_shape} for {family.name}"
        raise SpecError(_error("dataset.shape", expected, data.shape))
    if family.trainer == "keras" and spec.batch_size > data.training_samples:
        expected = f"at most the {data.training_samples:,} training samples"
        raise SpecError(_error("batch_size", expected, spec.batch_size))
    size = family.explicit(spec.size)
    return family.layers(shape, data.classes, size.width, size.depth)


def _memory_bytes(
    family: Family, layers: tuple[Layer, ...], data: DatasetFacts, spec: JobSpec
) -> int:
    if family.memory is not None:
        return family.memory(data, spec)
    return memory_bytes(layers, data, spec.batch_size)


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
        "model_types": [_family(family) for family in families().values()],
        "datasets": [listed(data) for data in DATASETS.values()],
    }


def _family(family: Family) -> dict[str, Any]:
    return {
        "name": family.name,
        "title": family.title,
        "description": family.description,
        "concept": family.concept,
        "datasets": list(DATASETS),
        "default_dataset": Dataset().name,
        "sizes": {} if family is own_model.FAMILY else _sizes(family),
    }


def _sizes(family: Family) -> dict[str, Any]:
    """None of a family that the default data set does not fit."""
    try:
        return {name: _size(family, name) for name in family.sizes}
    except SpecError:
        return {}


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


def listed(data: DatasetFacts) -> dict[str, Any]:
    """A data set as the catalogue lists it, as JSON."""
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
    if spec.model_type in families():
        return ()
    return (_error("model_type", model_types(), spec.model_type),)


def _error(field: str, expected: str, received: Any) -> FieldError:
    return FieldError(field=field, expected=expected, received=received)
