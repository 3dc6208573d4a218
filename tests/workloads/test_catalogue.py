"""The tables of sizes, and specs that are refused with the field that is wrong."""

import json
import subprocess
import sys

import pytest

from app.domain.errors import SpecError
from app.domain.specs import JobSpec
from app.workloads import catalogue

SERIES = {"name": "synthetic", "shape": [100, 10]}
PARAMETERS = {  # for synthetic [100, 10] the sequences, for images the CNN
    "cnn": [14_410, 56_714, 225_034, 896_522, 3_578_890],
    "rnn": [1_898, 5_834, 19_850, 72_458, 275_978],
    "attention": [556, 1_100, 2_188, 4_364, 8_716],
}
SIZES = ["tiny", "small", "base", "medium", "large"]


def spec(**given):
    return JobSpec.model_validate(given)


def data(model_type):
    return {"name": "mnist5k"} if model_type == "cnn" else SERIES


@pytest.mark.parametrize("model_type", PARAMETERS)
def test_parameters_of_every_size(model_type):
    found = [
        catalogue.facts(spec(model_type=model_type, size=size, dataset=data(model_type))).parameters
        for size in SIZES
    ]
    assert found == PARAMETERS[model_type]


@pytest.mark.parametrize(
    ("model_type", "flops"), [("cnn", 15_396_864), ("rnn", 11_238_400), ("attention", 631_040)]
)
def test_flops_of_the_bases_are_the_hand_counts(model_type, flops):
    assert (
        catalogue.facts(spec(model_type=model_type, dataset=data(model_type))).flops_per_sample
        == flops
    )


@pytest.mark.parametrize(
    ("model_type", "parameters", "layers"),
    [("cnn", 225_034, 7), ("rnn", 24_458, 2), ("attention", 4_492, 9)],
)
@pytest.mark.parametrize("name", ["mnist5k", "digits"])
def test_real_data_are_images_or_rows(model_type, parameters, layers, name):
    known = catalogue.facts(spec(model_type=model_type, dataset={"name": name}))
    assert known.input_shape == ((28, 28, 1) if model_type == "cnn" else (28, 28))
    assert (known.parameters, known.layers, known.classes) == (parameters, layers, 10)


@pytest.mark.parametrize("model_type", PARAMETERS)
def test_a_name_is_a_width_at_depth_one(model_type):
    for size, width in zip(SIZES, [0.25, 0.5, 1, 2, 4], strict=True):
        by_hand = catalogue.facts(spec(model_type=model_type, size={"width": width, "depth": 1}))
        assert by_hand == catalogue.facts(spec(model_type=model_type, size=size))


@pytest.mark.parametrize("model_type", PARAMETERS)
def test_wider_and_deeper_is_more(model_type):
    def facts(width, depth):
        return catalogue.facts(spec(model_type=model_type, size={"width": width, "depth": depth}))

    for more in (facts(1.5, 1), facts(1, 2)):
        assert more.parameters > facts(1, 1).parameters
        assert more.flops_per_sample > facts(1, 1).flops_per_sample
        assert more.memory_bytes > facts(1, 1).memory_bytes


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"model_type": "svm"}, ["model_type"]),
        ({"model_type": "svm", "dataset": {"name": "cifar"}}, ["model_type", "dataset.name"]),
        ({"model_type": "rnn", "dataset": {"name": "mnist5k", "classes": 3}}, ["dataset.classes"]),
        (
            {"model_type": "rnn", "dataset": {"name": "synthetic", "shape": [9, 9, 1]}},
            ["dataset.shape"],
        ),
        (
            {"model_type": "attention", "dataset": {"name": "synthetic", "shape": [9]}},
            ["dataset.shape"],
        ),
        (
            {"model_type": "cnn", "dataset": {"name": "synthetic", "shape": [9, 10]}},
            ["dataset.shape"],
        ),
        (
            {"model_type": "cnn", "dataset": {"name": "mnist5k", "samples": 4001}},
            ["dataset.samples"],
        ),
        ({"model_type": "cnn", "batch_size": 4001}, ["batch_size"]),
        ({"model_type": "cnn", "dataset": {"samples": 100}, "batch_size": 101}, ["batch_size"]),
    ],
)
def test_a_spec_that_cannot_be_trained_names_its_field(given, refused):
    with pytest.raises(SpecError) as error:
        catalogue.facts(spec(**given))
    assert [problem.field for problem in error.value.errors] == refused


def test_a_batch_may_be_all_of_the_data():
    assert catalogue.facts(spec(model_type="cnn", batch_size=4000)).training_samples == 4000


def test_the_listing_is_json_and_agrees_with_the_facts():
    listing = json.loads(json.dumps(catalogue.listing()))
    assert [family["name"] for family in listing["model_types"]] == list(PARAMETERS)
    assert [known["name"] for known in listing["datasets"]] == ["mnist5k", "digits", "synthetic"]
    for family in listing["model_types"]:
        assert family["datasets"] == ["mnist5k", "digits", "synthetic"]
        assert list(family["sizes"]) == SIZES
        for size, row in family["sizes"].items():
            known = catalogue.facts(spec(model_type=family["name"], size=size))
            assert row["parameters"] == known.parameters
            assert row["layers"] == known.layers
            assert row["flops_per_sample"] == known.flops_per_sample
            assert row["memory_bytes"] == known.memory_bytes


def test_arithmetic_needs_no_framework():
    code = (
        "import sys; from app.workloads import catalogue; catalogue.listing();"
        "print({'tensorflow', 'keras', 'numpy', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
