"""An own model as a spec: its facts by arithmetic, and what does not go together."""

import json
from pathlib import Path

import pytest

from app.domain.errors import SpecError
from app.domain.specs import JobSpec
from app.workloads import catalogue, cnn
from app.workloads.datasets import MNIST5K
from app.workloads.memory import own_memory_bytes

ARCHITECTURE = json.loads(Path(__file__).with_name("own_cnn.json").read_text())


def facts(**given):
    fields = {"model_type": "keras", "architecture": ARCHITECTURE} | given
    return catalogue.facts(JobSpec.model_validate(fields))


def test_the_facts_but_memory_are_those_of_the_same_model_of_ours():
    ours = catalogue.facts(JobSpec(model_type="cnn"))
    own = facts()
    assert own.model_copy(update={"memory_bytes": ours.memory_bytes}) == ours


def test_memory_is_estimated_as_that_of_an_own_model():
    layers = cnn.FAMILY.layers((28, 28, 1), 10, 1, 1)
    for jit_compile in (True, False, "auto"):
        expected = own_memory_bytes(layers, MNIST5K, 32, compiled=jit_compile is True)
        assert facts(execution={"jit_compile": jit_compile}).memory_bytes == expected


@pytest.mark.parametrize(
    ("given", "field", "expected"),
    [
        ({"architecture": None}, "architecture", "the object that json.loads"),
        ({"model_type": "cnn"}, "architecture", "null: only the model type keras takes one"),
        ({"size": "tiny"}, "size", "base: an architecture has its own size"),
        ({"size": {"width": 1.0, "depth": 1}}, "size", "base: an architecture has its own size"),
        (
            {"dataset": {"name": "synthetic"}},
            "architecture.config.layers[0].config.batch_shape",
            "",
        ),
        ({"architecture": {"class_name": "Lambda"}}, "architecture.class_name", "Sequential or"),
        ({"batch_size": 5000}, "batch_size", "at most the 4,000 training samples"),
    ],
)
def test_what_does_not_go_together_names_its_field(given, field, expected):
    with pytest.raises(SpecError) as caught:
        facts(**given)
    assert caught.value.errors[0].field == field
    assert expected in caught.value.errors[0].expected


def test_the_identity_covers_the_architecture():
    one = JobSpec.model_validate({"model_type": "keras", "architecture": ARCHITECTURE})
    other = one.model_copy(update={"architecture": {}})
    assert one.sha256() != other.sha256()
