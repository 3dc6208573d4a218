"""The tables of sizes, and specs that are refused with the field that is wrong."""

import json
import subprocess
import sys

import pytest

from app.domain.errors import SpecError
from app.domain.specs import JobSpec
from app.workloads import catalogue

SERIES = {"name": "synthetic", "shape": [100, 10]}
IMAGES = {"cnn", "resnet"}
PARAMETERS = {  # on synthetic [100, 10] of the sequences, on mnist5k of the others
    "cnn": [14_410, 56_714, 225_034, 896_522, 3_578_890],
    "rnn": [1_898, 5_834, 19_850, 72_458, 275_978],
    "attention": [556, 1_100, 2_188, 4_364, 8_716],
    "gru": [1_514, 4_554, 15_242, 55_050, 208_394],
    "mlp": [55_050, 118_282, 269_322, 669_706, 1_863_690],
    "transformer": [13_386, 101_322, 399_242, 3_164_426, 18_925_066],
    "resnet": [5_142, 44_226, 272_186, 1_859_946, 10_526_922],
    "svm": [2_570, 5_130, 10_250, 20_490, 40_970],
    "random_forest": [None] * 5,
}
DEPTHS = {
    "cnn": [1, 1, 1, 1, 1],
    "rnn": [1, 1, 1, 1, 1],
    "attention": [1, 1, 1, 1, 1],
    "gru": [1, 1, 1, 1, 1],
    "mlp": [2, 2, 2, 2, 2],
    "transformer": [1, 2, 2, 4, 6],
    "resnet": [1, 2, 3, 5, 7],
    "svm": [1, 1, 1, 1, 1],
    "random_forest": [1, 1, 1, 1, 1],
}
# All layers multiply-add once forward and twice backward, at 2 FLOPs each: 6 in all; those on the
# data have no gradient for their input: 4.
FLOPS = {
    "cnn": 15_396_864,
    "rnn": 11_238_400,
    "attention": 631_040,
    # 100 steps: three gates of 64 on 10 features and on the state, and the classes
    "gru": 100 * (4 * 192 * 10 + 6 * 192 * 64 + 6 * 64 * 10),
    "mlp": 4 * 784 * 256 + 6 * (256 * 256 + 256 * 10),
    # 100 steps: the projection; in two blocks four products with 128 × 128, two of the 100 steps
    # with each other, two with 128 × 512; the classes once
    "transformer": (
        100 * (4 * 10 * 128 + 2 * 6 * (4 * 128 * 128 + 2 * 100 * 128 + 2 * 128 * 512))
        + 6 * 128 * 10
    ),
    # 3 × 3 kernels: the entry, 6 in the first stage, one that halves and 5 in each other stage;
    # two shortcuts of 1 × 1; the classes
    "resnet": (
        4 * 28 * 28 * 9 * 16
        + 6 * 28 * 28 * 9 * 16 * 16 * 6
        + 6 * 14 * 14 * (9 * 16 * 32 + 9 * 32 * 32 * 5 + 16 * 32)
        + 6 * 7 * 7 * (9 * 32 * 64 + 9 * 64 * 64 * 5 + 32 * 64)
        + 6 * 64 * 10
    ),
}
SIZES = ["tiny", "small", "base", "medium", "large"]


def spec(**given):
    return JobSpec.model_validate(given)


def data(model_type):
    return {"name": "mnist5k"} if model_type in {*IMAGES, "mlp"} else SERIES


@pytest.mark.parametrize("model_type", PARAMETERS)
def test_parameters_of_every_size(model_type):
    found = [
        catalogue.facts(spec(model_type=model_type, size=size, dataset=data(model_type))).parameters
        for size in SIZES
    ]
    assert found == PARAMETERS[model_type]


@pytest.mark.parametrize("model_type", FLOPS)
def test_flops_of_the_bases_are_the_hand_counts(model_type):
    known = catalogue.facts(spec(model_type=model_type, dataset=data(model_type)))
    assert known.flops_per_sample == FLOPS[model_type]


@pytest.mark.parametrize(
    ("model_type", "parameters", "layers"),
    [
        ("cnn", 225_034, 7),
        ("rnn", 24_458, 2),
        ("attention", 4_492, 9),
        ("gru", 18_698, 2),
        ("mlp", 269_322, 4),
        ("transformer", 401_546, 18),
        ("resnet", 272_186, 74),
    ],
)
@pytest.mark.parametrize("name", ["mnist5k", "digits"])
def test_real_data_are_images_or_rows(model_type, parameters, layers, name):
    known = catalogue.facts(spec(model_type=model_type, dataset={"name": name}))
    assert known.input_shape == ((28, 28, 1) if model_type in IMAGES else (28, 28))
    assert (known.parameters, known.layers, known.classes) == (parameters, layers, 10)


@pytest.mark.parametrize("model_type", PARAMETERS)
def test_a_name_is_a_width_and_a_depth(model_type):
    widths = [0.25, 0.5, 1, 2, 4]
    for size, width, depth in zip(SIZES, widths, DEPTHS[model_type], strict=True):
        explicit = {"width": width, "depth": depth}
        by_hand = catalogue.facts(spec(model_type=model_type, size=explicit))
        assert by_hand == catalogue.facts(spec(model_type=model_type, size=size))


@pytest.mark.parametrize("model_type", FLOPS)
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
        ({"model_type": "bayes"}, ["model_type"]),
        ({"model_type": "bayes", "dataset": {"name": "cifar"}}, ["model_type", "dataset.name"]),
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
            {"model_type": "gru", "dataset": {"name": "synthetic", "shape": [9, 9, 1]}},
            ["dataset.shape"],
        ),
        (
            {"model_type": "transformer", "dataset": {"name": "synthetic", "shape": [9]}},
            ["dataset.shape"],
        ),
        (
            {"model_type": "resnet", "dataset": {"name": "synthetic", "shape": [3, 10]}},
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
    *sized, own = listing["model_types"]
    assert {*PARAMETERS, "svm", "random_forest"} == {family["name"] for family in sized}
    assert (own["name"], own["sizes"]) == ("keras", {})
    assert [known["name"] for known in listing["datasets"]] == ["mnist5k", "digits", "synthetic"]
    for family in sized:
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


def test_a_report_of_what_is_not_known_here_has_no_figures_and_says_why():
    unknown = catalogue.known_facts(spec(model_type="elsewhere"))
    assert (unknown.parameters, unknown.flops_per_sample) == (None, None)
    assert "model_type" in unknown.flops_reason
    assert catalogue.known_facts(spec(model_type="cnn")) == catalogue.facts(spec(model_type="cnn"))
