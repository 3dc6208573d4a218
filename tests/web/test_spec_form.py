"""A spec from a form: every field lands where the spec has it."""

import pytest

from app.domain.errors import SpecError
from app.domain.specs import JobSpec
from app.web.spec_form import GROUPS, KINDS, spec_of

LEAST = {"model_type": "cnn", "size": "base", "epochs": "3", "dataset.name": "mnist5k"}


def test_the_least_that_works():
    assert spec_of(LEAST) == JobSpec(model_type="cnn")


def test_every_field():
    spec = spec_of(
        LEAST
        | {
            "size": "by hand",
            "size.width": "1.5",
            "size.depth": "2",
            "dataset.samples": "100",
            "dataset.label_noise": "0.25",
            "batch_size": "16",
            "learning_rate": "0.01",
            "seed": "7",
            "target_accuracy": "0.9",
            "early_stopping.patience": "4",
            "execution.mode": "keras_fit",
            "execution.precision": "mixed_bfloat16",
            "execution.jit_compile": "true",
            "execution.steps_per_execution": "8",
            "execution.input_pipeline": "tf_data",
            "execution.threads": "2",
            "limits.timeout_s": "60",
            "limits.energy_j": "100",
            "limits.emissions_g": "5",
            "placement.labels": "gpu",
            "priority": "-3",
            "tags": "team=vision, run = 3",
            "carbon.country_iso_code": "FRA",
            "carbon.region": "x",
            "carbon.intensity_g_per_kwh": "50",
            "carbon.pue": "1.2",
        }
    )
    changed = spec.model_dump(exclude_defaults=True)
    assert changed == {
        "model_type": "cnn",
        "size": {"width": 1.5, "depth": 2},
        "dataset": {"samples": 100, "label_noise": 0.25},
        "batch_size": 16,
        "learning_rate": 0.01,
        "seed": 7,
        "target_accuracy": 0.9,
        "early_stopping": {"patience": 4},
        "execution": {
            "mode": "keras_fit",
            "precision": "mixed_bfloat16",
            "jit_compile": True,
            "steps_per_execution": 8,
            "input_pipeline": "tf_data",
            "threads": 2,
        },
        "limits": {"timeout_s": 60, "energy_j": 100, "emissions_g": 5},
        "placement": {"labels": ("gpu",)},
        "priority": -3,
        "tags": {"team": "vision", "run": "3"},
        "carbon": {
            "country_iso_code": "FRA",
            "region": "x",
            "intensity_g_per_kwh": 50,
            "pue": 1.2,
        },
    }


def test_the_form_has_every_field_of_a_spec_that_a_person_types():
    def leaves(model, above=""):
        for name, field in model.model_fields.items():
            inner = getattr(field.annotation, "model_fields", None)
            yield from leaves(field.annotation, f"{above}{name}.") if inner else [above + name]

    typed = set(leaves(JobSpec)) - {
        "architecture",  # a document
        "dataset.uploaded",  # the service's own
        "experiment_id",
        "dataset.shape",  # of synthetic data
        "dataset.classes",
    }
    assert {name for name in typed if name not in KINDS} == {"early_stopping"}  # its patience has


def test_defaults_that_the_form_shows_are_those_of_the_spec():
    shown = {f.name: f.default for fields in GROUPS.values() for f in fields if f.default}
    assert spec_of(LEAST | shown) == JobSpec(model_type="cnn")


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("epochs", "three"),
        ("epochs", "0"),
        ("epochs", "NaN"),
        ("size", "by hand"),
        ("size.width", "wide"),
        ("tags", "team"),
        ("carbon.country_iso_code", "fr"),
        ("dataset.samples", "[1]"),
        ("nothing", "1"),
        ("model_type.x", "1"),
    ],
)
def test_what_does_not_hold_is_named(field, text):
    with pytest.raises(SpecError) as caught:
        spec_of(LEAST | {field: text})
    assert any(error.field.startswith(field.partition(".")[0]) for error in caught.value.errors)
