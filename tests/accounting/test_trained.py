"""What was trained, in short."""

import pytest

from app.accounting.trained import trained
from app.domain.specs import JobSpec


@pytest.mark.parametrize(
    ("fields", "size", "name"),
    [
        ({"model_type": "cnn"}, "base", None),
        ({"model_type": "cnn", "size": {"width": 1.5, "depth": 2}}, "width=1.5,depth=2", None),
        ({"model_type": "keras", "architecture": {"config": {"name": "mine"}}}, None, "mine"),
        ({"model_type": "keras", "architecture": {"config": {"name": 3}}}, None, None),
        ({"model_type": "keras", "architecture": {"config": []}}, None, None),
        ({"model_type": "keras"}, None, None),
        ({"model_type": "keras", "architecture": {"config": {"name": "\x1b\n "}}}, None, None),
    ],
)
def test_the_model_by_its_size_or_its_name(fields, size, name):
    found = trained(JobSpec.model_validate(fields))
    assert (found.model_type, found.size, found.model_name) == (fields["model_type"], size, name)


def test_the_rest_is_as_the_spec_has_it():
    spec = JobSpec.model_validate(
        {
            "model_type": "rnn",
            "epochs": 7,
            "batch_size": 16,
            "learning_rate": 0.01,
            "seed": 5,
            "dataset": {"name": "digits", "samples": 100},
        }
    )
    assert trained(spec).model_dump() == {
        "model_type": "rnn",
        "model_name": None,
        "size": "base",
        "dataset": "digits",
        "dataset_samples": 100,
        "epochs": 7,
        "batch_size": 16,
        "learning_rate": 0.01,
        "seed": 5,
    }
