"""What clients send wrongly is named in plain words, and never becomes invalid or endless JSON."""

import json

import pytest

from app.api.validation import MAX_ERRORS, json_object, shown, validated
from app.domain.errors import SpecError
from app.domain.specs import JobSpec

LEAST = {"model_type": "cnn"}
SIZES = "one of tiny, small, base, medium, large, or an object with width, depth"


def _errors(**fields):
    with pytest.raises(SpecError) as caught:
        validated(JobSpec, LEAST | fields)
    return [(e.field, e.expected, e.received) for e in caught.value.errors]


@pytest.mark.parametrize(
    ("fields", "field", "expected", "received"),
    [
        ({"epochs": 0}, "epochs", "an integer ≥ 1 and ≤ 10000", 0),
        ({"epochs": "3"}, "epochs", "an integer ≥ 1 and ≤ 10000", "3"),
        ({"epochs": True}, "epochs", "an integer ≥ 1 and ≤ 10000", True),
        ({"epochs": 1.5}, "epochs", "an integer ≥ 1 and ≤ 10000", 1.5),
        ({"epochs": None}, "epochs", "an integer ≥ 1 and ≤ 10000", None),
        ({"epochs": float("nan")}, "epochs", "an integer ≥ 1 and ≤ 10000", "NaN"),
        (
            {"learning_rate": float("nan")},
            "learning_rate",
            "a finite number > 0 and ≤ 10",
            "NaN",
        ),
        (
            {"learning_rate": float("inf")},
            "learning_rate",
            "a finite number > 0 and ≤ 10",
            "Infinity",
        ),
        ({"size": "huge"}, "size", SIZES, "huge"),
        ({"size": 5}, "size", SIZES, 5),
        (
            {"size": {"width": 99, "depth": 1}},
            "size.width",
            "a finite number > 0 and ≤ 16",
            99,
        ),
        ({"size": {"width": 1.0}}, "size.depth", "an integer ≥ 1 and ≤ 8", None),
        (
            {"size": {"width": 1, "depth": 1, "size-object": 2}},
            "size.size-object",
            "no such field",
            2,
        ),
        ({"size-name": 1}, "size-name", "no such field", 1),
        ({"epoch": 3}, "epoch", "no such field (did you mean epochs?)", 3),
        (
            {"execution": {"thread": 3}},
            "execution.thread",
            "no such field (did you mean threads?)",
            3,
        ),
        (
            {"execution": {"threads": 0}},
            "execution.threads",
            "auto, or an integer ≥ 1 and ≤ 1024",
            0,
        ),
        ({"execution": {"jit_compile": 1}}, "execution.jit_compile", "auto, or true or false", 1),
        (
            {"execution": {"precision": "bfloat16"}},
            "execution.precision",
            "one of auto, float32, mixed_bfloat16",
            "bfloat16",
        ),
        (
            {"limits": {"energy_j": 0}},
            "limits.energy_j",
            "a finite number > 0 and ≤ 1000000000000, or null",
            0,
        ),
        ({"target_accuracy": 2}, "target_accuracy", "a finite number > 0 and ≤ 1, or null", 2),
        (
            {"dataset": "mnist5k"},
            "dataset",
            "an object with name, samples, shape, classes, label_noise, uploaded",
            ...,
        ),
        ({"dataset": {"name": ""}}, "dataset.name", "text of 1 to 64 characters", ""),
        (
            {"dataset": {"samples": 0}},
            "dataset.samples",
            "an integer ≥ 1 and ≤ 10000000, or null",
            0,
        ),
        (
            {"dataset": {"shape": []}},
            "dataset.shape",
            "a list of 1 to 3 items, each an integer ≥ 1 and ≤ 4096, or null",
            [],
        ),
        ({"dataset": {"shape": [1, "a"]}}, "dataset.shape.1", "an integer ≥ 1 and ≤ 4096", "a"),
        ({"carbon": {"pue": 0.5}}, "carbon.pue", "a finite number ≥ 1 and ≤ 10", 0.5),
        (
            {"carbon": {"country_iso_code": "fr"}},
            "carbon.country_iso_code",
            "three capital letters, as FRA, or null",
            "fr",
        ),
        ({"tags": {"a b": "x"}}, "tags.a b", "names matching ^[A-Za-z0-9._-]{1,64}$", "a b"),
        ({"tags": {"a": 5}}, "tags.a", "text of at most 256 characters", 5),
        ({"tags": [1]}, "tags", "an object of at most 32 entries", [1]),
        (
            {"placement": {"labels": ["a", "b"]}},
            "placement.labels",
            "a list of at most 1 items, each text matching ^[A-Za-z0-9._:-]{1,64}$",
            ["a", "b"],
        ),
        (
            {"model_type": "\ud800"},
            "model_type",
            "one of cnn, rnn, attention, gru, mlp, transformer, resnet, svm, random_forest, keras",
            "\\ud800",
        ),
        ({"learning_rate": 10**4000}, "learning_rate", ..., "1" + "0" * 119 + "…"),
    ],
)
def test_each_kind_of_error_in_plain_words(fields, field, expected, received):
    found = _errors(**fields)
    assert len(found) == len({name for name, _, _ in found})
    [(its_field, its_expected, its_received)] = [e for e in found if e[0] == field]
    assert its_field == field
    assert expected in (..., its_expected)
    assert received is ... or (its_received == received and type(its_received) is type(received))
    json.dumps(found, allow_nan=False).encode()


def test_a_missing_field_received_nothing():
    with pytest.raises(SpecError) as caught:
        validated(JobSpec, {})
    [error] = caught.value.errors
    assert (error.field, error.received) == ("model_type", None)


def test_every_field_of_the_spec_can_be_put_in_words():
    """Each field alone, with a value that no field takes."""
    known = set(JobSpec.model_fields)
    found = _errors(**dict.fromkeys(known, {"x": {}}) | {"architecture": 5})
    assert {name.partition(".")[0] for name, _, _ in found} == known


def test_many_errors_are_cut_short():
    assert len(_errors(**{f"x{n}": n for n in range(100_000)})) == MAX_ERRORS


def test_a_deep_value_of_an_unknown_field_is_cut():
    deep = json_object(b'{"x": ' + b"[" * 500 + b"]" * 500 + b"}")
    assert _errors(**deep) == [("x", "no such field", [[["…"]]])]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "JSON (Expecting value"),
        (b"{", "JSON (Expecting property name"),
        (b"\xff\xfe\x00", "JSON ("),
        (b"\x80abc", "JSON ("),
        (b"null", "an object"),
        (b"[]", "an object"),
        (b'"text"', "an object"),
        (b"NaN", "an object"),
        (b"[" * 200_000, "JSON that is not nested this deeply"),
        (b'{"a":' * 200_000, "JSON that is not nested this deeply"),
        (b'{"epochs": ' + b"1" * 5000 + b"}", "JSON (Exceeds the limit"),
        (b'{"epochs": 1, "epochs": 2}', "a field once"),
        (b'{"size": {"width": 1, "width": 2}}', "a field once"),
    ],
)
def test_a_body_that_is_no_object_of_json(body, expected):
    with pytest.raises(SpecError) as caught:
        json_object(body)
    [error] = caught.value.errors
    assert error.expected.startswith(expected)
    assert len(json.dumps([error.field, error.received], allow_nan=False)) < 1000


def test_shown_keeps_what_is_short_and_cuts_what_is_long():
    assert shown({"a": [1, None, "x", 2.5]}) == {"a": [1, None, "x", 2.5]}
    assert shown("x" * 1000) == "x" * 120 + "…"
    assert shown(list(range(100))) == [*range(8), "…"]
    assert shown(dict.fromkeys(range(100), 0)) == {**dict.fromkeys(map(str, range(8)), 0), "…": "…"}
    assert shown([float("-inf")]) == ["-Infinity"]
    assert shown(10**30) == str(10**30)
