"""What a training raised, as a code and a sentence."""

import pytest

from app.domain.errors import FieldError, SpecError, TrainingError
from app.worker.child import attempt


class ResourceExhaustedError(Exception):
    """TensorFlow's error of this name, which it raises where a device has no memory left."""


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (TrainingError("the loss became nan", code="diverged"), "diverged", "nan"),
        (SpecError(FieldError(field="size", expected="x", received=1)), "bad_spec", "size"),
        (MemoryError(), "out_of_memory", "memory"),
        (ResourceExhaustedError("OOM when allocating"), "out_of_memory", "allocating"),
        (ValueError("shapes differ"), "training_error", "ValueError: shapes differ"),
    ],
)
def test_every_error_becomes_a_code_and_a_sentence(raised, code, words):
    def run(train):
        raise raised

    failure = attempt(run)
    assert failure.code == code
    assert words in failure.message


def test_no_error_is_no_failure():
    assert attempt(lambda train: None) is None
