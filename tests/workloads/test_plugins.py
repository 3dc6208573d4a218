"""Families of installed packages: a real entry point on the path of a process of its own."""

import json
import os
import subprocess
import sys

import pytest

PACKAGE = '''
"""A package with a workload."""

from dataclasses import replace

from app.workloads.family import Family, sequence
from app.workloads.layers import dense, entry, flatten


def layers(shape, classes, width, depth):
    data = entry(shape)
    row = flatten("flatten", data)
    return data, row, dense("classes", row, classes, "softmax")


LINEAR = Family(
    name="linear",
    title="Logistic regression",
    description="One dense layer.",
    concept="y = softmax(Wx + b)",
    expected_shape="a sequence [steps, features]",
    input_shape=sequence,
    layers=layers,
)
NOT_ONE = 7


def raises(*_):
    raise KeyError("large")


UNFIT = replace(LINEAR, input_shape=lambda shape: shape if len(shape) == 1 else None)
RAISES = replace(LINEAR, layers=raises)
THREE_SIZES = replace(LINEAR, sizes={"tiny": 1, "small": 2, "base": 3})
'''
ASK = """
import json, sys
from app.domain.specs import JobSpec
from app.workloads import catalogue

spec = JobSpec(model_type="linear")
known = catalogue.known_facts(spec)
listing = {each["name"]: each["sizes"] for each in catalogue.listing()["model_types"]}
told = {"names": list(catalogue.families()), "listing": listing}
print(json.dumps(told | {"parameters": known.parameters, "reason": known.parameters_reason}))
"""


@pytest.fixture
def ask(tmp_path):
    """What a process says that finds a package with these entry points."""

    def asked(entry_points):
        (tmp_path / "linear.py").write_text(PACKAGE)
        facts = tmp_path / "linear-1.0.dist-info"
        facts.mkdir(exist_ok=True)
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: linear\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(f"[trainwatt.workloads]\n{entry_points}\n")
        done = subprocess.run(
            [sys.executable, "-c", ASK],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
        )
        return json.loads(done.stdout), done.stderr

    return asked


def test_a_package_brings_a_family(ask):
    told, errors = ask("linear = linear:LINEAR")
    assert told["names"][-1] == "linear"
    assert told["listing"]["linear"]["base"]["parameters"] == 7850
    assert told["parameters"] == (28 * 28 + 1) * 10
    assert not errors


@pytest.mark.parametrize(
    ("entry_points", "why"),
    [
        ("linear = nowhere:LINEAR", "No module named 'nowhere'"),
        ("linear = linear:NOT_ONE", "expected an app.workloads.family.Family, received 7"),
        ("other = linear:LINEAR", "received a family 'linear'"),
        ("cnn = linear:LINEAR", "received a family 'linear'"),
        ("linear = linear:THREE_SIZES", "expected the sizes tiny, small, base, medium, large"),
    ],
)
def test_what_cannot_be_had_is_left_out_and_named_in_the_log(ask, entry_points, why):
    told, errors = ask(entry_points)
    assert "linear" not in told["names"]
    assert {"cnn", "rnn", "attention"} <= set(told["names"])
    assert "is left out" in errors
    assert why in errors


@pytest.mark.parametrize(
    ("which", "why"),
    [
        ("UNFIT", "dataset.shape: expected a sequence [steps, features] for linear"),
        ("RAISES", "a model type that can be worked out (KeyError: 'large'), received 'linear'"),
    ],
)
def test_a_package_that_fails_takes_nothing_else_with_it(ask, which, why):
    told, _ = ask(f"linear = linear:{which}")
    assert told["listing"]["linear"] == {}
    assert set(told["listing"]["cnn"]) == {"tiny", "small", "base", "medium", "large"}
    assert told["parameters"] is None
    assert why in told["reason"]


def test_a_name_of_ours_stays_ours(ask, tmp_path):
    told, errors = ask("linear = linear:LINEAR\ncnn = linear:CNN")
    assert told["names"].count("cnn") == 1
    assert "cnn (linear:CNN) is left out" in errors
