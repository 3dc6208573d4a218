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


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"config": {"layers": [{}, {"units": float("inf")}]}}, "config.layers[1].units"),
        ({"a": [[1, "x\0"]]}, "a[0][1]"),
        ({"a": {"x\0": 1}}, "a.(key)"),
        ({"é\n" * 30: float("nan")}, r"\xe9\n" * 15),
        ({"a" * 30: {"b" * 30: {"c" * 900: float("nan")}}}, ".".join(c * 30 for c in "abc")),
    ],
)
def test_the_place_is_named_in_plain_words(value, place):
    with pytest.raises(PydanticCustomError) as caught:
        storable(value)
    assert str(caught.value).endswith(f" inside, also at {place}")


def test_the_name_of_a_place_is_short():
    value = float("nan")
    for _ in range(DEEPEST):
        value = {"\U0001f600" * 40: value}
    with pytest.raises(PydanticCustomError) as caught:
        storable(value)
    assert len(str(caught.value)) < 300


def test_a_value_by_itself_has_no_place():
    with pytest.raises(PydanticCustomError, match="finite numbers inside$"):
        storable(float("nan"))


def test_the_deepest_passes():
    assert storable(nested(DEEPEST // 2)) == nested(DEEPEST // 2)
