"""Families of installed packages: a real entry point on the path of a process of its own."""

import json
import logging
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from app.domain.errors import SpecError
from app.domain.specs import JobSpec
from app.workloads import catalogue, plugins
from app.workloads.family import Family
from app.workloads.layers import Kind

DOCS = Path(__file__).parents[2] / "docs" / "workloads.md"

PACKAGE = '''
"""A package with a workload."""

from dataclasses import dataclass, replace
from importlib import import_module

from app.domain.errors import FieldError, SpecError
from app.workloads.family import Family, sequence
from app.workloads.layers import Layer, dense, entry, flatten


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
NUMBERS = replace(LINEAR, sizes=dict.fromkeys(LINEAR.sizes, 1))
BY_SKLEARN = replace(LINEAR, trainer="scikit-learn")
BY_TORCH = replace(LINEAR, trainer="torch")
NO_TITLE = replace(LINEAR, title=5)
NO_REASON = replace(LINEAR, flops_reason=0)
NO_FUNCTION = replace(LINEAR, layers=None)
NO_MEMORY = replace(LINEAR, memory=5)


@dataclass(frozen=True, kw_only=True)
class Larger(Family):
    def explicit(self, size):
        return 5


LARGER = Larger(**vars(LINEAR))


def leaves(*_):
    raise SystemExit(3)


def refuses_nothing(*_):
    raise SpecError()


def altered(**changed):
    """The layers with another last one."""

    def other(shape, classes, width, depth):
        *before, last = layers(shape, classes, width, depth)
        return *before, replace(last, **changed)

    return other


def followed(make):
    """The layers and one more."""
    return lambda *given: (*layers(*given), make(layers(*given)[-1]))


def plain(kind, last, **changed):
    given = {"inputs": (last.name,), "output_shape": last.output_shape, "name": "more"}
    return Layer(kind=kind, **(given | changed))
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


WHOSE = "of the family linear of the package linear 1.0"
SIZES = {"tiny", "small", "base", "medium", "large"}


def install(folder, entry_points, package=PACKAGE, module="linear"):
    """Lay a package down as pip does."""
    (folder / f"{module}.py").write_text(package)
    facts = folder / f"{module}-1.0.dist-info"
    facts.mkdir(exist_ok=True)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[{plugins.GROUP}]\n{entry_points}\n")


@pytest.fixture
def ask(tmp_path):
    """What a process says that finds a package with these entry points."""

    def asked(entry_points, **package):
        install(tmp_path, entry_points, **package)
        done = subprocess.run(
            [sys.executable, "-c", ASK],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
        )
        return json.loads(done.stdout), done.stderr

    return asked


@pytest.fixture
def facts(tmp_path, monkeypatch):
    """The facts of a spec of the family, whose entry point gives this expression's value."""

    def known(expression, **given):
        install(tmp_path, "linear = linear:GIVEN", f"{PACKAGE}\nGIVEN = {expression}\n")
        return catalogue.facts(JobSpec(model_type="linear", **given))

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    catalogue.families.cache_clear()
    yield known
    catalogue.families.cache_clear()
    sys.modules.pop("linear", None)


@pytest.fixture
def refused(facts):
    """The one error of a spec of that family."""

    def the_error(expression):
        with pytest.raises(SpecError) as caught:
            facts(expression)
        (error,) = caught.value.errors
        return error

    return the_error


def test_a_package_brings_a_family(ask):
    told, errors = ask("linear = linear:LINEAR")
    assert told["names"][-1] == "linear"
    assert told["listing"]["linear"]["base"]["parameters"] == 7850
    assert told["parameters"] == (28 * 28 + 1) * 10
    assert not errors


@pytest.mark.parametrize(
    ("entry_points", "why"),
    [
        ("linear = nowhere:LINEAR", "ModuleNotFoundError: No module named 'nowhere'"),
        ("linear = linear:NOT_ONE", "expected an app.workloads.family.Family, received 7"),
        (
            "linear = linear:LARGER",
            "expected an app.workloads.family.Family, received \"<class 'linear.Larger'>",
        ),
        ("linear = linear:THREE_SIZES", "expected the sizes tiny, small, base, medium, large"),
        ("linear = linear:NUMBERS", "expected an app.domain.specs.ExplicitSize as the size tiny"),
        ("linear = linear:BY_SKLEARN", "expected the trainer keras, for scikit-learn trains"),
        (
            "linear = linear:BY_TORCH",
            "expected the trainer keras, for scikit-learn trains svm and random_forest alone, "
            "received 'torch'",
        ),
        ("linear = linear:NO_TITLE", "expected a text as title, received 5"),
        ("linear = linear:NO_REASON", "expected a text or null as flops_reason, received 0"),
        ("linear = linear:NO_FUNCTION", "expected a function as layers, received None"),
        ("linear = linear:NO_MEMORY", "expected a function as memory, received 5"),
    ],
)
def test_what_cannot_be_had_is_a_line_in_the_log_and_refused_with_the_reason(
    ask, entry_points, why
):
    told, errors = ask(entry_points)
    assert told["listing"]["linear"] == {}
    assert set(told["listing"]["cnn"]) == SIZES
    point = entry_points.partition(" = ")[2]
    sentence = f"the entry point {point} of the package linear 1.0: {why}"
    (line,) = errors.splitlines()
    assert line.startswith(f"the workload linear is left out, {sentence}")
    assert f"model_type: expected a family that can be loaded ({sentence}" in told["reason"]
    assert told["reason"].endswith("received 'linear'")


@pytest.mark.parametrize("name", ["other", "cnn"])
def test_a_family_has_the_name_of_its_entry_point(ask, name):
    told, errors = ask(f"{name} = linear:LINEAR")
    assert "linear" not in told["names"]
    assert set(told["listing"]["cnn"]) == SIZES
    assert "expected the entry point's name, received \"a family 'linear'\"" in errors


def test_a_module_that_ends_the_process_ends_nothing(ask):
    told, errors = ask("linear = linear:LINEAR", package="raise SystemExit(3)")
    assert set(told["listing"]["cnn"]) == SIZES
    assert errors.splitlines()[0].endswith("SystemExit: 3")


def test_a_broken_package_does_not_take_the_name_of_one_that_loads(ask, tmp_path):
    install(tmp_path, "linear = nowhere:LINEAR", module="another")
    told, errors = ask("linear = linear:LINEAR")
    assert set(told["listing"]["linear"]) == SIZES
    assert "nowhere:LINEAR of the package another 1.0" in errors


@pytest.mark.parametrize(
    ("which", "why"),
    [
        ("UNFIT", "dataset.shape: expected a sequence [steps, features] for linear"),
        ("RAISES", f"layers {WHOSE} to give a result, received \"KeyError: 'large'\""),
    ],
)
def test_a_package_that_fails_takes_nothing_else_with_it(ask, which, why):
    told, errors = ask(f"linear = linear:{which}")
    assert told["listing"]["linear"] == {}
    assert set(told["listing"]["cnn"]) == SIZES
    assert told["parameters"] is None
    assert why in told["reason"]
    assert not errors


def test_a_name_of_ours_stays_ours(ask):
    told, errors = ask("linear = linear:LINEAR\ncnn = linear:CNN")
    assert told["names"].count("cnn") == 1
    assert set(told["listing"]["cnn"]) == SIZES
    assert "the workload cnn is left out, the entry point linear:CNN of the package" in errors


MANY = "a tuple of app.workloads.layers.Layer, the data's entry first"


@pytest.mark.parametrize(
    ("layers", "expected", "received"),
    [
        ("lambda *a: 5", MANY, 5),
        ("lambda *a: ()", MANY, "()"),
        ("lambda *a: None", MANY, None),
        ("lambda *a: (1, 2)", MANY, "(1, 2)"),
        ("lambda *a: list(layers(*a))", MANY, None),
        ("lambda *a: layers(*a)[1:]", "the data's entry first, of the kind Input", "Flatten"),
        ("lambda *a: layers(*a)[:1]", "a layer after the data's entry", 1),
        ("lambda shape, *a: layers((7, 7), *a)", "an entry of the data's 784 values", "(7, 7)"),
        ("lambda *a: (*layers(*a), layers(*a)[-1])", "a name for each layer", "classes"),
        ("altered(name='a/b')", "a name for each layer, without /", "a/b"),
        ("altered(kind='Bogus')", "for the layer classes one of the kinds Conv2D, ", "Bogus"),
        ("altered(kind='Input')", "for the layer classes one of the kinds Conv2D, ", "Input"),
        ("altered(inputs=('nothing',))", "inputs that are names of layers before", "('nothing',)"),
        ("altered(inputs=('classes',))", "inputs that are names of layers before", "('classes',)"),
        ("altered(inputs=())", "as many inputs as Dense reads (1)", "()"),
        (
            "followed(lambda last: plain('Add', last))",
            "as many inputs as Add reads (2 to 64)",
            "('classes',)",
        ),
        ("altered(output_shape=(0,))", "an output_shape of whole numbers from 1 on", "(0,)"),
        ("altered(output_shape=[10])", "an output_shape of whole numbers from 1 on", "[10]"),
        ("altered(parameters=0.5)", "a whole number from 0 on as parameters", "0.5"),
        ("altered(flops_forward=-1)", "a whole number from 0 on as flops_forward", -1),
        ("altered(options=None)", "for the layer classes options by name", None),
        ("altered(options={'name': 'x'})", "no option name: the training sets it", "name"),
        ("altered(options={'activation': 'softmax'})", "the options units of Dense", "activation"),
        ("altered(options={'units': 10, 'activation': 'bogus'})", "an activation of", "bogus"),
        ("altered(options={'units': 7, 'activation': 'softmax'})", "10 units, as its output", 7),
        (
            "lambda shape, classes, *a: layers(shape, 7, *a)",
            "an output of [10] or [steps, 10], a value for each class",
            "(7,)",
        ),
        (
            "lambda *a: layers(*a)[:2]",
            "an output of [10] or [steps, 10], a value for each class",
            "(784,)",
        ),
        (
            "altered(options={'units': 10, 'activation': 'relu'})",
            "softmax over the classes as the last layer",
            "Dense with relu",
        ),
        ("altered(options={'units': 10})", "softmax over the classes as the last layer", "Dense"),
        (
            "followed(lambda last: plain('Softmax', last, options={'axis': 0}))",
            "softmax over the classes as the last layer",
            "Softmax",
        ),
        ("leaves", "a result", "SystemExit: 3"),
        ("refuses_nothing", "a result", "SpecError"),
        ("lambda: ()", "a result", None),
    ],
)
def test_layers_that_cannot_be_trained_refuse_the_spec(refused, layers, expected, received):
    error = refused(f"replace(LINEAR, layers={layers})")
    assert error.field == "model_type"
    assert error.expected.startswith(f"layers {WHOSE} to give ")
    assert expected in error.expected
    assert received is None or error.received == received


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("input_shape=lambda _: 5", "null or a tuple of whole numbers from 1 on"),
        ("input_shape=lambda shape: list(shape)", "null or a tuple of whole numbers from 1 on"),
        ("input_shape=lambda shape: ()", "null or a tuple of whole numbers from 1 on"),
        ("input_shape=lambda _: (28, 28.0)", "null or a tuple of whole numbers from 1 on"),
        ("input_shape=lambda _: (28,)", "a shape of the data's 784 values"),
        ("problems=lambda _: None", "a tuple of app.domain.errors.FieldError"),
        ("problems=lambda _: ('no',)", "a tuple of app.domain.errors.FieldError"),
        ("memory=lambda *_: 'much'", "a whole number of bytes from 0 on"),
        ("memory=lambda *_: -1", "a whole number of bytes from 0 on"),
    ],
)
def test_the_result_of_every_function_is_looked_at(refused, function, expected):
    error = refused(f"replace(LINEAR, {function})")
    name = function.partition("=")[0]
    assert error.field == "model_type"
    assert error.expected == f"{name} {WHOSE} to give {expected}"


def test_a_family_may_refuse_a_spec_by_itself(refused):
    problem = "FieldError(field='seed', expected='none', received=0)"
    assert refused(f"replace(LINEAR, problems=lambda _: ({problem},))").field == "seed"


@pytest.mark.parametrize(
    "layers",
    [
        "followed(lambda last: plain('Softmax', last))",
        "followed(lambda last: plain('Activation', last, options={'activation': 'softmax'}))",
    ],
)
def test_a_softmax_may_be_a_layer_of_its_own(facts, layers):
    assert facts(f"replace(LINEAR, layers={layers})").layers == 3


def test_a_spec_that_is_refused_again_and_again_is_in_the_log_once(refused, caplog):
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            refused("replace(LINEAR, layers=lambda *_: 'once and no more')")
    (record,) = caplog.records
    assert record.levelname == "INFO"
    assert record.exc_info is None
    assert (
        "the workload linear of the package linear 1.0 refuses a spec: model_type: " in caplog.text
    )


def test_what_a_package_says_at_length_is_cut_to_a_line(refused):
    error = refused("replace(LINEAR, layers=lambda *_: ['two\\nlines'] * 1000)")
    assert len(error.received) == plugins.MOST_TOLD + 1
    assert "\n" not in error.received


@pytest.mark.parametrize("name", sorted(set(catalogue.OWN) - {"svm", "random_forest", "keras"}))
def test_a_package_could_bring_each_family_that_keras_trains(facts, name):
    family = f"replace(import_module('app.workloads.{name}').FAMILY, name='linear')"
    for size in SIZES:
        assert facts(family, size=size) == catalogue.facts(JobSpec(model_type=name, size=size))


def test_every_kind_has_its_number_of_inputs():
    assert set(plugins.READS) == set(get_args(Kind))


def test_every_function_of_a_family_is_guarded():
    functions = {
        name for name, field in Family.__dataclass_fields__.items() if "Callable" in str(field.type)
    }
    assert functions == {"input_shape", "layers", "problems", "memory"}


def test_the_example_of_the_docs_is_a_family(ask):
    section = DOCS.read_text().partition("\n## A family in a package\n")[2]
    (project,) = re.findall(r"(?s)```toml\n(.*?)```", section)
    (module,) = re.findall(r"(?s)```python\n(.*?)```", section)
    declared = tomllib.loads(project)
    ((name, point),) = declared["project"]["entry-points"][plugins.GROUP].items()
    (modules,) = declared["tool"]["setuptools"]["py-modules"]
    told, errors = ask(f"{name} = {point}", package=module, module=modules)
    assert not errors
    assert set(told["listing"][name]) == SIZES
    assert told["listing"][name]["base"]["parameters"] == (784 + 1) * 16 + (16 + 1) * 10
    assert f"--model-type {name} " in section
