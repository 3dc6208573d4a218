"""An experiment as it is asked for: its variants, and what cannot be."""

import pytest
from pydantic import ValidationError

from app.domain.errors import SpecError
from app.domain.experiments import MOST_VARIANTS, ExperimentSpec, label

BASE = {"model_type": "cnn"}


def _spec(**fields):
    return ExperimentSpec.model_validate({"base": BASE, **fields})


def test_a_grid_is_every_combination_in_order():
    spec = _spec(vary={"batch_size": [32, 128], "execution.precision": ["float32", "auto"]})
    assert [label(changed) for changed in spec.changes()] == [
        "batch_size=32, execution.precision=float32",
        "batch_size=32, execution.precision=auto",
        "batch_size=128, execution.precision=float32",
        "batch_size=128, execution.precision=auto",
    ]
    place, body = list(spec.bodies())[1]
    assert place == "vary[batch_size=32, execution.precision=auto]"
    assert (body["batch_size"], body["execution"]["precision"]) == (32, "auto")
    assert body["execution"]["threads"] == "auto"
    assert spec.base.execution.precision == "float32"


def test_a_list_changes_what_each_says_and_may_change_nothing():
    spec = _spec(variants=[{}, {"early_stopping.patience": 2, "size": {"width": 1.5, "depth": 2}}])
    assert [label(changed) for changed in spec.changes()] == [
        "base",
        "early_stopping.patience=2, size=width=1.5,depth=2",
    ]
    (_, plain), (place, changed) = spec.bodies()
    assert plain == spec.base.model_dump(mode="json")
    assert (place, changed["early_stopping"]) == ("variants[1]", {"patience": 2})


def test_a_field_within_one_that_is_no_object_is_made_so_that_it_is_refused_later():
    _, body = next(_spec(variants=[{"epochs.more": 1}]).bodies())
    assert body["epochs"] == {"more": 1}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "vary"),
        ({"vary": {"seed": [1]}, "variants": [{}]}, "vary"),
        ({"vary": {"seed": [1, 2]}, "repeats": {"min": 5, "max": 3}}, "repeats.min"),
        ({"vary": {"seed": list(range(8)), "epochs": list(range(1, 9))}}, "vary"),
    ],
)
def test_what_cannot_be_has_its_field(fields, field):
    with pytest.raises(SpecError) as caught:
        _spec(**fields).changes()
    assert caught.value.errors[0].field == field


@pytest.mark.parametrize(
    "fields",
    [
        {"vary": {"Batch Size": [1]}},
        {"vary": {"batch_size": []}},
        {"vary": {"batch_size": 32}},
        {"vary": {"seed": list(range(MOST_VARIANTS + 1))}},
        {"vary": {"tags": [float("nan")]}},
        {"variants": [{"a\0": 1}]},
        {"variants": [{}], "repeats": 0},
        {"variants": [{}], "repeats": True},
        {"variants": [{}], "budget": {"energy_j": 0}},
        {"variants": [{}], "stop": {"ratio_within": 1}},
        {"variants": [{}], "constraint": {"min_accuracy": 1.5}},
        {"variants": [{}], "order": "random"},
        {"variants": [{}], "name": "a\nb"},
        {"variants": [{}], "more": 1},
    ],
)
def test_what_does_not_hold(fields):
    with pytest.raises(ValidationError):
        _spec(**fields)


def test_repeats_are_a_number_or_a_range():
    assert (_spec(repeats=4).least, _spec(repeats=4).most) == (4, 4)
    ranged = _spec(repeats={"min": 2, "max": 9})
    assert (ranged.least, ranged.most) == (2, 9)
