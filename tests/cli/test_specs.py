"""A spec from options and a file."""

import json
from operator import attrgetter
from typing import get_args

import pytest
import typer

from app.cli.specs import SIZES, _shape, _size, _switch, _tag, checked, spec_body  # noqa: PLC2701
from app.domain.errors import SpecError, UsageError
from app.domain.specs import Execution, ExplicitSize, JobSpec
from app.workloads.datasets import SYNTHETIC


def test_only_what_was_given_is_sent():
    assert spec_body(model_type="cnn", epochs=3) == {"model_type": "cnn", "epochs": 3}


def test_options_stand_where_the_spec_has_them():
    body = spec_body(
        model_type="rnn",
        size=_size("width=1.5,depth=2"),
        dataset="synthetic",
        samples=100,
        shape=_shape("100,10"),
        classes=10,
        mode="graph",
        precision="mixed_bfloat16",
        jit_compile=_switch("false"),
        input_pipeline="memory",
        threads=2,
        steps_per_execution="auto",
        label_noise=0.1,
        patience=3,
        target_accuracy=0.9,
        timeout_s=60.0,
        energy_j=500.0,
        emissions_g=2.0,
        label="gpu",
        tag=[_tag("team=vision"), _tag("note=a=b")],
        country="FRA",
        region="idf",
        intensity=0.0,
        pue=1.2,
    )
    assert body == {
        "model_type": "rnn",
        "size": {"width": 1.5, "depth": 2},
        "dataset": {
            "name": "synthetic",
            "samples": 100,
            "shape": [100, 10],
            "classes": 10,
            "label_noise": 0.1,
        },
        "execution": {
            "mode": "graph",
            "precision": "mixed_bfloat16",
            "jit_compile": False,
            "input_pipeline": "memory",
            "threads": 2,
            "steps_per_execution": "auto",
        },
        "early_stopping": {"patience": 3},
        "target_accuracy": 0.9,
        "limits": {"timeout_s": 60.0, "energy_j": 500.0, "emissions_g": 2.0},
        "placement": {"labels": ["gpu"]},
        "tags": {"team": "vision", "note": "a=b"},
        "carbon": {
            "country_iso_code": "FRA",
            "region": "idf",
            "intensity_g_per_kwh": 0.0,
            "pue": 1.2,
        },
    }
    assert checked(body).dataset.shape == (100, 10)


def test_an_architecture_comes_from_a_file(tmp_path):
    file = tmp_path / "model.json"
    file.write_text('{"class_name": "Sequential", "config": {}}')
    kept = {"class_name": "Sequential", "config": {}}
    assert spec_body(architecture=str(file)) == {"model_type": "keras", "architecture": kept}
    assert spec_body(architecture=str(file), model_type="cnn")["model_type"] == "cnn"
    with pytest.raises(UsageError, match=r"--architecture: .* cannot be read"):
        spec_body(architecture=str(tmp_path / "none.json"))


def test_a_switch_is_true_false_or_auto():
    assert [_switch(text) for text in ("true", "false", "auto")] == [True, False, "auto"]
    assert [_switch(text) for text in ("True", "FALSE", "Auto")] == [True, False, "auto"]
    with pytest.raises(typer.BadParameter, match="expected true, false or auto, received '1'"):
        _switch("1")


def test_options_go_on_top_of_the_file(tmp_path):
    file = tmp_path / "spec.json"
    given = {"model_type": "cnn", "dataset": {"name": "digits", "samples": 5}, "size": "tiny"}
    file.write_text(json.dumps(given))
    assert spec_body(spec=str(file), samples=7, size={"width": 1.0, "depth": 1}) == {
        "model_type": "cnn",
        "dataset": {"name": "digits", "samples": 7},
        "size": {"width": 1.0, "depth": 1},
    }


def test_a_wrong_part_of_the_file_is_not_hidden_by_an_option(tmp_path):
    file = tmp_path / "spec.json"
    file.write_text('{"model_type": "cnn", "dataset": 7, "tags": null}')
    with pytest.raises(SpecError) as caught:
        checked(spec_body(spec=str(file), samples=3))
    assert {error.field for error in caught.value.errors} == {"dataset", "tags"}


def test_every_wrong_field_is_named():
    with pytest.raises(SpecError) as caught:
        checked({"epochs": 0, "size": {"width": 1, "depth": 99}, "colour": "red"})
    assert {error.field for error in caught.value.errors} == {
        "model_type",
        "epochs",
        "size.depth",
        "colour",
    }


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        spec_body(spec=str(tmp_path / "none.json"))


@pytest.mark.parametrize("option", ["spec", "architecture"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ": expected JSON (Expecting property name"),
        ("[1]", ": expected an object, received [1]"),
        ("7", ": expected an object, received 7"),
        ('{"a": 1, "a": 2}', ": a: expected a field once"),
    ],
)
def test_a_file_without_a_json_object_is_named(tmp_path, option, text, words):
    file = tmp_path / "spec.json"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        spec_body(**{option: str(file)})
    assert str(caught.value).startswith(f"--{option} {file}{words}")


@pytest.mark.parametrize("text", ["{}", '{"model_type": null, "epochs": 2}'])
def test_a_job_without_a_model_type_is_told_where_to_give_it(tmp_path, text):
    file = tmp_path / "spec.json"
    file.write_text(text)
    for given in ({}, {"spec": str(file)}):
        with pytest.raises(UsageError, match="expected --model-type .* or --spec"):
            spec_body(**given)


@pytest.mark.parametrize(
    "text",
    [
        "1.5",
        "huge",
        "",
        "width=1.5",
        "depth=2",
        "width=a,depth=2",
        "width=2,depth=0.5",
        "width=1,depth=2,x",
    ],
)
def test_a_size_that_is_none_is_told_what_one_is(text):
    told = "both width and depth, as width=1.5,depth=2 .*above 0, at most 16; .*whole.* 1 to 8"
    with pytest.raises(typer.BadParameter, match=f"small, .*{told}.*, received {text!r}"):
        _size(text)


def test_what_a_size_is_told_to_be_is_what_the_spec_takes():
    sides = ExplicitSize.model_json_schema()["properties"]
    assert (sides["width"]["exclusiveMinimum"], sides["width"]["maximum"]) == (0, 16)
    assert (sides["depth"]["minimum"], sides["depth"]["maximum"]) == (1, 8)
    assert [_size(name) for name in SIZES] == ["tiny", "small", "base", "medium", "large"]


HELP = {
    name: get_args(hint)[1].help
    for name, hint in spec_body.__annotations__.items()
    if name != "return"
}


@pytest.mark.parametrize(
    ("option", "path"),
    [
        *((name, name) for name in ("size", "epochs", "batch_size", "learning_rate", "seed")),
        *((name, f"execution.{name}") for name in Execution.model_fields),
        ("dataset", "dataset.name"),
        ("label_noise", "dataset.label_noise"),
        ("pue", "carbon.pue"),
        ("timeout_s", "limits.timeout_s"),
        ("priority", "priority"),
    ],
)
def test_the_help_has_the_default_of_the_spec(option, path):
    default = attrgetter(path)(JobSpec(model_type="cnn"))
    assert f"(default: {default})" in HELP[option]


def test_the_help_has_the_defaults_of_the_data_set_synthetic():
    shape = ",".join(map(str, SYNTHETIC.shape))
    assert f"(default: {shape})" in HELP["shape"]
    assert f"(default: {SYNTHETIC.classes})" in HELP["classes"]


def test_a_size_with_one_part_too_many_reaches_the_check():
    with pytest.raises(SpecError, match=r"size\.height"):
        checked({"model_type": "cnn", "size": _size("width=1,depth=1,height=3")})


def test_a_tag_without_a_value_is_refused():
    with pytest.raises(typer.BadParameter, match="key=value"):
        _tag("team")
