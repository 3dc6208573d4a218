"""Checks of single values: what passes comes out as a value of our own, and nothing else passes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import SpecError
from app.workloads.keras_fields import (
    INITIALIZERS,
    OF_VECTORS,
    Field,
    activation,
    fields,
    flag,
    float32,
    initializer,
    number,
    one_of,
    only,
    optional,
    pairs,
    shown,
    sides,
    text,
    whole,
)

ANYTHING = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.characters(categories=["Cs"]),
    ),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
CHECKS = {
    "whole": whole(1, 5),
    "number": number(0, 1),
    "optional": optional(whole(1, 5)),
    "one_of": one_of("same", "valid"),
    "only": only(False, "false"),
    "sides": sides(2, 1, 5),
    "pairs": pairs(2, 5),
    "activation": activation,
    "float32": float32,
    "flag": flag,
    "initializer": initializer(*INITIALIZERS),
}


@pytest.mark.parametrize(
    ("check", "given", "taken"),
    [
        ("whole", 5, 5),
        ("number", 1, 1.0),
        ("number", 0.25, 0.25),
        ("optional", None, None),
        ("one_of", "same", "same"),
        ("only", False, False),
        ("sides", 3, (3, 3)),
        ("sides", [1, 5], (1, 5)),
        ("pairs", [[0, 1], [2, 2]], ((0, 1), (2, 2))),
        ("pairs", [1, 2], ((1, 1), (2, 2))),
        ("activation", None, "linear"),
        ("activation", "relu", "relu"),
        ("float32", "float32", None),
        ("flag", True, True),
        ("initializer", "Zeros", {"class_name": "Zeros", "config": {}}),
        (
            "initializer",
            {"module": "keras.initializers", "class_name": "Constant", "config": {"value": 2}},
            {"class_name": "Constant", "config": {"value": 2.0}},
        ),
        (
            "initializer",
            {"class_name": "HeNormal", "config": {"seed": 7, "input_axes": None}},
            {"class_name": "HeNormal", "config": {"seed": 7}},
        ),
    ],
)
def test_passes(check, given, taken):
    found = CHECKS[check]("here", given)
    assert (found, type(found)) == (taken, type(taken))


@pytest.mark.parametrize(
    ("check", "given"),
    [
        ("whole", 0),
        ("whole", 6),
        ("whole", True),
        ("whole", 3.0),
        ("whole", "3"),
        ("number", 1.1),
        ("number", float("nan")),
        ("number", True),
        ("number", 10**400),
        ("optional", 0),
        ("one_of", "SAME"),
        ("one_of", ["same"]),
        ("only", 0),
        ("only", None),
        ("sides", [1, 2, 3]),
        ("sides", [1, 6]),
        ("sides", {"a": 1}),
        ("pairs", 1),
        ("pairs", [[1, 2]]),
        ("activation", "os.system"),
        ("activation", "glu"),
        ("float32", "float16"),
        ("float32", None),
        ("flag", 1),
        ("flag", None),
        ("initializer", None),
        ("initializer", "zeros"),
        ("initializer", {"class_name": ["Zeros"], "config": {}}),
        ("initializer", {"class_name": "Zeros"}),
        ("initializer", {"class_name": "Zeros", "config": {"value": 1}}),
        ("initializer", {"class_name": "Zeros", "config": {}, "module": "os"}),
    ],
)
def test_refuses(check, given):
    with pytest.raises(SpecError) as caught:
        CHECKS[check]("here", given)
    assert all(error.field.startswith("here") for error in caught.value.errors)


def test_a_vector_has_no_orthogonal_start():
    with pytest.raises(SpecError):
        initializer(*OF_VECTORS)("here", "Orthogonal")


@pytest.mark.parametrize("check", CHECKS)
@given(value=ANYTHING)
def test_anything_passes_or_is_refused(check, value):
    try:
        CHECKS[check]("here", value)
    except SpecError as error:
        assert error.errors


KNOWN = {
    "units": Field(check=whole(1, 5)),
    "rate": Field(check=number(0, 1), default=0.5),
    "name": Field(check=only("a", "a"), default="a", passed=False),
}


def test_fields_take_defaults_and_drop_what_is_not_passed():
    assert fields("here", {"units": 2}, KNOWN) == {"units": 2, "rate": 0.5}
    assert fields("here", {"rate": 1, "units": 2, "name": "a"}, KNOWN) == {"units": 2, "rate": 1.0}


def test_fields_name_everything_that_is_wrong():
    with pytest.raises(SpecError) as caught:
        fields("here", {"rate": 2, "name": "b", "more": 1}, KNOWN)
    found = [(error.field, error.received) for error in caught.value.errors]
    assert found == [
        ("here", "more"),
        ("here.units", None),
        ("here.rate", 2),
        ("here.name", "b"),
    ]


def test_of_many_unknown_fields_the_first_are_named():
    with pytest.raises(SpecError) as caught:
        fields("here", {"units": 2} | {f"x{i}": i for i in range(10_000)}, KNOWN)
    assert [error.received for error in caught.value.errors] == ["x0", "x1", "x2", "x3", "x4"]


@pytest.mark.parametrize("given", [None, [], "units", 3])
def test_fields_of_no_object(given):
    with pytest.raises(SpecError, match="here: expected an object"):
        fields("here", given, KNOWN)


@pytest.mark.parametrize(
    ("value", "short"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (10**30, "a whole number of 100 bits"),
        (0.5, 0.5),
        (float("-inf"), "-inf"),
        ("abc", "abc"),
        ("é\0\ud800", r"\xe9\x00\ud800"),
        ("a" * 61, "a" * 60 + "..."),
        ((1, None), [1, None]),
        ([1] * 9, "a list of 9 items"),
        ([[1]], "a list of 1 items"),
        ({"a": 1}, "an object of 1 fields"),
        (b"a", "a value of type bytes"),
    ],
)
def test_what_is_shown(value, short):
    assert shown(value) == short


@given(ANYTHING)
def test_what_is_shown_is_short_json(value):
    found = json.dumps(shown(value), allow_nan=False, ensure_ascii=False)
    assert len(found.encode()) < 6_000


@given(st.text())
def test_texts_are_plain(value):
    assert text(value).isascii()
    assert text(value).isprintable()
