"""The support vector machine: its shapes, its weights, what it refuses, and its memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import SpecError
from app.domain.specs import JobSpec
from app.workloads import catalogue, datasets, svm

SIZES = ["tiny", "small", "base", "medium", "large"]
SHAPES = st.lists(st.integers(1, 40), min_size=1, max_size=3).map(tuple)


def facts(**given):
    return catalogue.facts(JobSpec.model_validate({"model_type": "svm", **given}))


def test_base_is_a_block_of_features_and_a_machine_a_class():
    layers = svm.layers((28, 28), 10, 1, 1)
    assert [
        (layer.name, layer.inputs, layer.output_shape, layer.parameters) for layer in layers
    ] == [
        ("input", (), (28, 28), 0),
        ("flatten", ("input",), (784,), 0),
        ("fourier1", ("flatten",), (1024,), 0),
        ("machines", ("fourier1",), (10,), 10_250),
    ]


def test_depth_puts_block_on_block():
    layers = {layer.name: layer for layer in svm.layers((28, 28), 10, 0.5, 3)}
    blocks = [layers[f"fourier{block}"] for block in (1, 2, 3)]
    assert [block.inputs for block in blocks] == [("flatten",), ("fourier1",), ("fourier2",)]
    assert {block.output_shape for block in blocks} == {(512,)}
    assert layers["machines"].inputs == ("fourier3",)


@pytest.mark.parametrize(
    "dataset",
    [
        {"name": "mnist5k"},
        {"name": "digits"},
        {"name": "synthetic"},
        {"name": "synthetic", "shape": [7]},
        {"name": "synthetic", "shape": [9, 8, 3]},
    ],
)
def test_parameters_of_every_size_on_data_of_any_shape(dataset):
    found = [facts(size=size, dataset=dataset) for size in SIZES]
    assert [known.parameters for known in found] == [2_570, 5_130, 10_250, 20_490, 40_970]
    assert {known.layers for known in found} == {3}
    assert found[0].input_shape == tuple(
        dataset.get("shape", (100, 10) if dataset["name"] == "synthetic" else (28, 28))
    )


def test_two_classes_need_one_machine():
    assert facts(dataset={"name": "synthetic", "classes": 2}).parameters == 1_025
    assert facts(dataset={"name": "synthetic", "classes": 3}).parameters == 3 * 1_025


def test_flops_are_not_stated_and_the_reason_is():
    assert facts().flops_per_sample is None
    assert "depend on the data" in facts().flops_reason
    assert facts().parameters_reason is None


@given(
    shape=SHAPES,
    classes=st.integers(2, 1000),
    width=st.floats(0.001, 16),
    depth=st.integers(1, 8),
)
def test_weights_are_those_of_the_machines_alone(shape, classes, width, depth):
    *_, block, machines = svm.layers(shape, classes, width, depth)
    weights = machines.output_shape[0] * (block.output_shape[0] + 1)
    assert sum(layer.parameters for layer in svm.layers(shape, classes, width, depth)) == weights
    assert machines.output_shape == ((1,) if classes == 2 else (classes,))


def test_the_memory_is_the_formula():
    spec = JobSpec.model_validate({"model_type": "svm", "size": {"width": 2, "depth": 3}})
    data = datasets.facts(spec.dataset)
    expected = (
        335_000_000 + 8 * 5000 * 784 + 12 * 2048 * 2048 + 4 * 5000 * 2 * 2048  # of two blocks
    )
    assert svm.memory_bytes(data, spec) == expected
    shallow = spec.model_copy(update={"size": "base"})
    expected = 335_000_000 + 8 * 5000 * 784 + 12 * 784 * 1024 + 4 * 5000 * 1024
    assert svm.memory_bytes(data, shallow) == expected


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"batch_size": 16}, "batch_size"),
        ({"execution": {"mode": "keras_fit"}}, "execution.mode"),
        ({"execution": {"precision": "mixed_bfloat16"}}, "execution.precision"),
        ({"execution": {"jit_compile": True}}, "execution.jit_compile"),
        ({"execution": {"steps_per_execution": 1}}, "execution.steps_per_execution"),
        ({"execution": {"input_pipeline": "memory"}}, "execution.input_pipeline"),
    ],
)
def test_what_scikit_learn_cannot_honour_is_refused(given, field):
    with pytest.raises(SpecError, match="scikit-learn has no other for svm") as error:
        facts(**given)
    assert [problem.field for problem in error.value.errors] == [field]


@pytest.mark.parametrize(
    "given",
    [
        {"learning_rate": 0.1},
        {"execution": {"threads": 1, "precision": "auto", "jit_compile": False}},
        {"target_accuracy": 0.9, "early_stopping": {"patience": 1}},
        {"dataset": {"label_noise": 0.5}},
    ],
)
def test_what_it_can_honour_is_taken(given):
    assert facts(**given).parameters == 10_250
