"""What the data sets are, and what of a spec's data set is refused."""

import pytest

from app.domain.specs import Dataset
from app.workloads import datasets


def fields(**given):
    return [error.field for error in datasets.problems(Dataset(**given))]


def sizes(**given):
    known = datasets.facts(Dataset(**given))
    return known.training_samples, known.validation_samples, known.test_samples


def test_sizes():
    assert sizes(name="mnist5k") == (4000, 500, 500)
    assert sizes(name="digits") == (1437, 180, 180)
    assert sizes(name="synthetic") == (4000, 500, 500)
    assert sum(sizes(name="digits")) == 1797


def test_samples_change_the_training_part_alone():
    assert sizes(name="mnist5k", samples=1000) == (1000, 500, 500)


def test_every_part_of_a_synthetic_set_holds_every_class():
    assert sizes(name="synthetic", classes=1000) == (4000, 1000, 1000)


def test_synthetic_takes_shape_and_classes():
    known = datasets.facts(Dataset(name="synthetic", shape=(5, 3), classes=7))
    assert (known.shape, known.classes) == ((5, 3), 7)
    assert (datasets.SYNTHETIC.shape, datasets.SYNTHETIC.classes) == ((100, 10), 10)


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({"name": "mnist5k"}, []),
        ({"name": "cifar"}, ["dataset.name"]),
        ({"name": "mnist5k", "shape": (28, 28)}, ["dataset.shape"]),
        ({"name": "digits", "classes": 10}, ["dataset.classes"]),
        (
            {"name": "digits", "classes": 9, "shape": (8, 8), "samples": 1438},
            ["dataset.shape", "dataset.classes", "dataset.samples"],
        ),
        ({"name": "mnist5k", "samples": 4000}, []),
        ({"name": "mnist5k", "samples": 4001}, ["dataset.samples"]),
        ({"name": "mnist5k", "samples": 10}, []),
        ({"name": "mnist5k", "samples": 9}, ["dataset.samples"]),
        ({"name": "synthetic", "samples": 100_000}, []),
        ({"name": "synthetic", "samples": 100_001}, ["dataset.samples"]),
        ({"name": "synthetic", "samples": 6, "classes": 7}, ["dataset.samples"]),
    ],
)
def test_what_cannot_be_had_is_named(given, refused):
    assert fields(**given) == refused


def test_a_problem_says_what_was_expected():
    (problem,) = datasets.problems(Dataset(name="mnist5k", samples=5000))
    assert problem.received == 5000
    assert problem.expected == "from 10 (one a class) to 4,000 training samples of mnist5k"
