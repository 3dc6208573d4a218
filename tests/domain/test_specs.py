"""The job spec: defaults, refusals, round trip, identity."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.domain.specs import JobSpec

LEAST = {"model_type": "cnn", "size": "base", "epochs": 3}
UPLOADED = {
    "sha256": "a" * 64,
    "shape": [28, 28],
    "classes": 10,
    "training_samples": 400,
    "validation_samples": 50,
    "test_samples": 50,
    "min_training_samples": 10,
}


def refused(**fields):
    with pytest.raises(ValidationError) as caught:
        JobSpec.model_validate(LEAST | fields)
    return {".".join(map(str, error["loc"])) for error in caught.value.errors()}


def test_the_least_that_works_has_the_documented_defaults():
    spec = JobSpec.model_validate(LEAST)
    assert spec.model_dump(mode="json") == LEAST | {
        "architecture": None,
        "dataset": {
            "name": "mnist5k",
            "samples": None,
            "shape": None,
            "classes": None,
            "label_noise": 0.0,
            "uploaded": None,
        },
        "batch_size": 32,
        "learning_rate": 0.001,
        "seed": 0,
        "execution": {
            "mode": "graph",
            "precision": "float32",
            "jit_compile": "auto",
            "steps_per_execution": "auto",
            "input_pipeline": "auto",
            "threads": "auto",
        },
        "target_accuracy": None,
        "early_stopping": None,
        "limits": {"timeout_s": 3600, "energy_j": None, "emissions_g": None},
        "placement": {"labels": []},
        "priority": 0,
        "tags": {},
        "carbon": {
            "country_iso_code": None,
            "region": None,
            "intensity_g_per_kwh": None,
            "pue": 1.0,
        },
        "experiment_id": None,
    }


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"epochs": 0}, "epochs"),
        ({"epochs": "3"}, "epochs"),
        ({"epochs": True}, "epochs"),
        ({"epochs": 1.5}, "epochs"),
        ({"epochz": 1}, "epochz"),
        ({"size": "huge"}, "size.size-name"),
        ({"size": {"width": 0, "depth": 1}}, "size.size-object.width"),
        ({"size": {"width": 1, "depth": 99}}, "size.size-object.depth"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": float("inf")}, "learning_rate"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"batch_size": 0}, "batch_size"),
        ({"seed": -1}, "seed"),
        ({"carbon": {"pue": 0.5}}, "carbon.pue"),
        ({"carbon": {"intensity_g_per_kwh": -1}}, "carbon.intensity_g_per_kwh"),
        ({"carbon": {"country_iso_code": "fr"}}, "carbon.country_iso_code"),
        ({"placement": {"labels": ["a", "b"]}}, "placement.labels"),
        ({"tags": {"a b": "c"}}, "tags.a b.[key]"),
        ({"limits": {"energy_j": 0}}, "limits.energy_j"),
        ({"limits": {"energy_j": float("inf")}}, "limits.energy_j"),
        ({"limits": {"energy_j": float("nan")}}, "limits.energy_j"),
        ({"limits": {"energy_j": "5"}}, "limits.energy_j"),
        ({"limits": {"energy_j": 1e13}}, "limits.energy_j"),
        ({"limits": {"emissions_g": -1}}, "limits.emissions_g"),
        ({"limits": {"emissions_g": 1e10}}, "limits.emissions_g"),
        ({"target_accuracy": 0}, "target_accuracy"),
        ({"target_accuracy": 1.01}, "target_accuracy"),
        ({"target_accuracy": True}, "target_accuracy"),
        ({"execution": {"precision": "float64"}}, "execution.precision"),
        ({"execution": {"jit_compile": 1}}, "execution.jit_compile.literal['auto']"),
        ({"execution": {"mode": "eager"}}, "execution.mode"),
        ({"execution": {"input_pipeline": "numpy"}}, "execution.input_pipeline"),
        ({"early_stopping": {"patience": 0}}, "early_stopping.patience"),
        ({"early_stopping": {}}, "early_stopping.patience"),
        ({"dataset": {"label_noise": 1.1}}, "dataset.label_noise"),
        ({"dataset": {"uploaded": {}}}, "dataset.uploaded.sha256"),
        ({"dataset": {"uploaded": UPLOADED | {"sha256": "../x"}}}, "dataset.uploaded.sha256"),
        ({"dataset": {"uploaded": UPLOADED | {"shape": []}}}, "dataset.uploaded.shape"),
        ({"dataset": {"uploaded": UPLOADED | {"path": "x"}}}, "dataset.uploaded.path"),
        ({"architecture": []}, "architecture"),
        ({"architecture": {"a": float("nan")}}, "architecture"),
        ({"architecture": {"a": "\0"}}, "architecture"),
        # not honoured yet: refused, never ignored
        ({"experiment_id": "x" * 65}, "experiment_id"),
    ],
)
def test_what_is_out_of_range_or_not_honoured_is_refused(fields, where):
    said = refused(**fields)
    assert where in said or where.rsplit(".", 1)[0] in said


specs = st.builds(
    lambda **fields: LEAST | fields,
    size=st.sampled_from(["tiny", "large"])
    | st.fixed_dictionaries({"width": st.floats(0.01, 16), "depth": st.integers(1, 8)}),
    epochs=st.integers(1, 10_000),
    batch_size=st.integers(1, 1_000_000),
    learning_rate=st.floats(1e-9, 10),
    seed=st.integers(0, 2**31 - 1),
    tags=st.dictionaries(
        st.from_regex(r"[A-Za-z0-9._-]{1,8}", fullmatch=True), st.text(max_size=9)
    ),
    carbon=st.fixed_dictionaries({"pue": st.floats(1, 10)}),
    target_accuracy=st.none() | st.floats(0, 1, exclude_min=True),
    limits=st.fixed_dictionaries(
        {},
        optional={
            "energy_j": st.none() | st.floats(1e-9, 1e12),
            "emissions_g": st.none() | st.floats(1e-9, 1e9),
        },
    ),
)


@given(specs)
def test_a_spec_survives_json(fields):
    spec = JobSpec.model_validate(fields)
    assert JobSpec.model_validate(json.loads(spec.model_dump_json())) == spec
    assert JobSpec.model_validate_json(spec.model_dump_json()).sha256() == spec.sha256()


def test_price_place_and_names_are_no_part_of_the_identity():
    plain = JobSpec.model_validate(LEAST).sha256()
    named = LEAST | {
        "tags": {"team": "vision"},
        "carbon": {"country_iso_code": "FRA"},
        "priority": 5,
        "placement": {"labels": ["gpu"]},
    }
    assert JobSpec.model_validate(named).sha256() == plain
    assert JobSpec.model_validate(LEAST | {"seed": 1}).sha256() != plain


def test_the_identity_of_a_run_without_the_later_fields_stays():
    known = "e38c75d10b17f669b11696ccfc5f789b0af63b3c3085902b29df492d3f28dfbf"
    assert JobSpec.model_validate(LEAST).sha256() == known
    for further in (
        {"limits": {"energy_j": 5}},
        {"target_accuracy": 0.9},
        {"execution": {"mode": "keras_fit"}},
        {"dataset": {"label_noise": 0.1}},
        {"early_stopping": {"patience": 1}},
        {"architecture": {}},
        {"dataset": {"uploaded": UPLOADED}},
    ):
        assert JobSpec.model_validate(LEAST | further).sha256() != known


def test_the_bytes_of_a_user_s_data_are_part_of_the_identity():
    one, other = (
        JobSpec.model_validate(LEAST | {"dataset": {"name": "mine", "uploaded": uploaded}})
        for uploaded in (UPLOADED, UPLOADED | {"sha256": "b" * 64})
    )
    assert one.sha256() != other.sha256()
