"""What the data sets are, and what of a spec's data set is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.specs import Dataset
from app.workloads import datasets


def fields(**asked):
    return [error.field for error in datasets.problems(Dataset(**asked))]


def sizes(**asked):
    known = datasets.facts(Dataset(**asked))
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
    ("asked", "refused"),
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
def test_what_cannot_be_had_is_named(asked, refused):
    assert fields(**asked) == refused


def test_a_problem_says_what_was_expected():
    (problem,) = datasets.problems(Dataset(name="mnist5k", samples=5000))
    assert problem.received == 5000
    assert problem.expected == "from 10 (one a class) to 4,000 training samples of mnist5k"


UPLOADED = {
    "sha256": "a" * 64,
    "shape": (5, 3),
    "classes": 7,
    "training_samples": 80,
    "validation_samples": 10,
    "test_samples": 11,
    "min_training_samples": 9,
}


def test_a_set_of_a_user_s_is_what_the_spec_says():
    assert sizes(name="mine", uploaded=UPLOADED) == (80, 10, 11)
    assert sizes(name="mine", uploaded=UPLOADED, samples=20) == (20, 10, 11)
    known = datasets.facts(Dataset(name="mine", uploaded=UPLOADED))
    assert (known.shape, known.classes, known.max_training_samples) == ((5, 3), 7, 80)


def test_the_least_of_a_user_s_classes_of_other_sizes_is_not_called_one_a_class():
    (problem,) = datasets.problems(Dataset(name="mine", samples=8, uploaded=UPLOADED))
    assert problem.expected == (
        "from 9 (of so many the smallest of the 7 classes has one, in its proportion) to 80 "
        "training samples of mine"
    )
    even = {**UPLOADED, "min_training_samples": 7}
    (problem,) = datasets.problems(Dataset(name="mine", samples=6, uploaded=even))
    assert problem.expected == "from 7 (one a class) to 80 training samples of mine"


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"name": "mine"}, []),
        ({"name": "mine", "samples": 9}, []),
        ({"name": "mine", "samples": 8}, ["dataset.samples"]),
        ({"name": "mine", "samples": 81}, ["dataset.samples"]),
        ({"name": "mine", "classes": 7}, ["dataset.classes"]),
        ({"name": "digits"}, ["dataset.uploaded"]),
    ],
)
def test_what_of_a_set_of_a_user_s_cannot_be_had_is_named(asked, refused):
    assert fields(**asked, uploaded=UPLOADED) == refused


@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=20).flatmap(
        lambda counts: st.tuples(st.just(counts), st.integers(0, sum(counts)))
    )
)
def test_quotas_are_proportional_and_make_up_the_total(drawn):
    counts, total = drawn
    quotas = datasets.quotas(counts, total)
    assert sum(quotas) == total
    for quota, count in zip(quotas, counts, strict=True):
        assert 0 <= quota <= count
        assert abs(quota - count * total / sum(counts)) < 1


@given(
    st.lists(st.integers(datasets.MIN_OF_A_CLASS, 3000), min_size=2, max_size=40),
    st.booleans(),
)
def test_every_part_of_a_set_of_a_user_s_holds_every_class(counts, own_test):
    split = datasets.split(counts, 5 if own_test else None)
    left, tenth = counts, -(-sum(counts) // 10)
    for total in [split.validation_samples] if own_test else [tenth, tenth]:
        part = datasets.quotas(left, total)
        assert min(part) >= 1
        left = [count - taken for count, taken in zip(left, part, strict=True)]
    assert min(left) >= 1
    assert sum(left) == split.training_samples
    assert min(datasets.quotas(left, split.min_training_samples)) >= 1
    assert split.test_samples == (5 if own_test else tenth)
