"""A training that ran outside of the service: its ranges, its identity, its facts."""

import pytest
from pydantic import ValidationError

from app.domain.external import NOT_TOLD, ExternalTraining


def test_a_name_is_enough():
    training = ExternalTraining(name="my net")
    facts = training.facts()
    assert (facts.parameters, facts.parameters_reason) == (None, NOT_TOLD)
    assert (facts.flops_per_sample, facts.flops_reason, facts.layers) == (None, NOT_TOLD, None)


def test_what_is_told_needs_no_reason():
    facts = ExternalTraining(name="n", parameters=7, flops_per_sample=0, layers=2).facts()
    assert (facts.parameters, facts.flops_per_sample, facts.layers) == (7, 0, 2)
    assert (facts.parameters_reason, facts.flops_reason) == (None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a\0b"},
        {"name": "two\nlines"},
        {"name": "x" * 65},
        {"epochs": 0},
        {"epochs": True},
        {"batch_size": "32"},
        {"learning_rate": float("inf")},
        {"target_accuracy": 1.5},
        {"tags": {"a b": "c"}},
        {"carbon": {"pue": 0.5}},
        {"spec": None},
    ],
)
def test_what_does_not_hold(wrong):
    with pytest.raises(ValidationError):
        ExternalTraining.model_validate({"name": "n", **wrong})


def test_its_identity_is_not_how_it_is_priced_and_tagged():
    one = ExternalTraining(name="n", seed=1)
    same = ExternalTraining.model_validate(
        {"name": "n", "seed": 1, "tags": {"a": "b"}, "carbon": {"pue": 1.2}}
    )
    assert one.sha256() == same.sha256() != ExternalTraining(name="n", seed=2).sha256()
