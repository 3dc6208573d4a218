"""Which data are a sequence."""

import pytest

from app.workloads.family import sequence


@pytest.mark.parametrize(
    ("shape", "expected"), [((28, 28), (28, 28)), ((10,), None), ((28, 28, 1), None)]
)
def test_only_two_axes_are_a_sequence(shape, expected):
    assert sequence(shape) == expected
