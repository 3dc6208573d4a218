"""The random forest: its trees and levels, what is not defined of it, what it refuses."""

import pytest

from app.domain.errors import SpecError
from app.domain.specs import JobSpec
from app.workloads import catalogue, datasets, random_forest

SIZES = ["tiny", "small", "base", "medium", "large"]


def spec(**given):
    return JobSpec.model_validate({"model_type": "random_forest", **given})


def test_width_multiplies_the_trees_of_an_epoch():
    assert [random_forest.trees(spec(size=size)) for size in SIZES] == [8, 16, 32, 64, 128]
    assert random_forest.trees(spec(size={"width": 0.001, "depth": 1})) == 1


def test_depth_multiplies_the_levels():
    assert {random_forest.levels(spec(size=size)) for size in SIZES} == {8}
    assert random_forest.levels(spec(size={"width": 1, "depth": 3})) == 24


@pytest.mark.parametrize(
    "dataset",
    [
        {"name": "mnist5k"},
        {"name": "digits"},
        {"name": "synthetic", "shape": [7]},
        {"name": "synthetic", "shape": [9, 8, 3]},
    ],
)
@pytest.mark.parametrize("size", SIZES)
def test_what_is_not_defined_is_null_with_its_reason_on_data_of_any_shape(dataset, size):
    known = catalogue.facts(spec(size=size, dataset=dataset))
    assert (known.parameters, known.flops_per_sample, known.layers) == (None, None, 0)
    assert known.parameters_reason == "the number of nodes of the trees depends on the data"
    assert "no matrix products" in known.flops_reason
    assert known.input_shape == tuple(dataset.get("shape", (28, 28)))


def test_the_memory_grows_with_every_epochs_trees():
    def extra(**given):
        asked = spec(**given)
        data = datasets.facts(asked.dataset)
        return random_forest.memory_bytes(data, asked) - (335_000_000 + 8 * 5000 * 784)

    assert extra(epochs=1) == 32 * (10_000 + 511 * (64 + 80))  # 2^9 - 1 nodes
    assert extra(epochs=7) == 7 * extra(epochs=1)
    deep = {"width": 2, "depth": 2}
    assert extra(epochs=1, size=deep) == 64 * (10_000 + 2_000 * (64 + 80))  # half the samples


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"batch_size": 64}, "batch_size"),
        ({"learning_rate": 0.01}, "learning_rate"),
        ({"execution": {"mode": "keras_fit"}}, "execution.mode"),
        ({"execution": {"precision": "mixed_bfloat16"}}, "execution.precision"),
        ({"execution": {"jit_compile": True}}, "execution.jit_compile"),
        ({"execution": {"steps_per_execution": 1}}, "execution.steps_per_execution"),
        ({"execution": {"input_pipeline": "tf_data"}}, "execution.input_pipeline"),
    ],
)
def test_what_scikit_learn_cannot_honour_is_refused(given, field):
    with pytest.raises(SpecError) as error:
        catalogue.facts(spec(**given))
    assert [problem.field for problem in error.value.errors] == [field]


def test_every_field_that_is_refused_is_named_at_once():
    with pytest.raises(SpecError) as error:
        catalogue.facts(spec(learning_rate=0.01, batch_size=8))
    assert str(error.value) == (
        "batch_size: expected 32: scikit-learn has no other for random_forest, received 8; "
        "learning_rate: expected 0.001: scikit-learn has no other for random_forest, received 0.01"
    )
