"""What can be stored as JSON passes unchanged; what cannot is refused with what was expected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from app.domain.json_values import DEEPEST, storable

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(codec="ascii", exclude_characters="\0")), inner)
    ),
    max_leaves=20,
)


def nested(levels):
    value = 1
    for _ in range(levels):
        value = {"a": [value]}
    return value


@given(JSON)
def test_json_passes(value):
    assert storable(value) is value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (nested(DEEPEST), "at most 32 levels"),
        (nested(100_000), "at most 32 levels"),
        ({"a": [float("nan")]}, "finite numbers"),
        ({"a": float("-inf")}, "finite numbers"),
        ({"a": "x\0"}, "without the character U"),
        ({"x\0": 1}, "without the character U"),
        ([["\ud800"]], "Unicode texts"),
    ],
)
def test_what_cannot_be_stored_is_refused(value, expected):
    with pytest.raises(PydanticCustomError, match=expected):
        storable(value)


def test_the_deepest_passes():
    assert storable(nested(DEEPEST // 2)) == nested(DEEPEST // 2)
