"""The documentation is tested: no setting, command, route, reason or room without its line."""

import ast
import importlib
import pkgutil
import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

import app.api
from app import reference
from app.accounting.trust import REASONS
from app.api.problems import Kind
from app.domain.reports import EnergyReport
from app.domain.specs import Dataset, Execution, JobSpec
from app.settings import Settings
from app.storage.experiments import SETTLED
from app.workloads import catalogue

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()


def _reference(name):
    return (DOCS / "reference" / f"{name}.md").read_text()


def _pages():
    """README, CONTRIBUTING and every page, by their path."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    return {path.relative_to(ROOT): path.read_text() for path in pages}


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_has_its_line(name):
    assert Settings.model_fields[name].description
    assert f"| `TRAINWATT_{name.upper()}` |" in _reference("settings")


def test_no_setting_is_invented():
    named = set(re.findall(r"\| `TRAINWATT_(\w+)` \|", _reference("settings")))
    assert named == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("code", sorted(REASONS))
def test_every_reason_has_its_grade_meaning_and_cure(code):
    reason = REASONS[code]
    line = f"| `{code}` | {reason.grade} | {reason.meaning} {reason.what_to_do} |"
    assert line in _reference("reasons")


def _limits():
    """The table of what each reason is read off: codes and fields of every row."""
    table = _reference("reasons").partition("| condition | code |")[2].partition("\n\n")[0]
    for row in table.splitlines()[2:]:
        _, _, codes, fields, _ = row.split("|")
        yield re.findall(r"`(\w+)`", codes), re.findall(r"`([a-z_0-9.]+)`", fields)


def test_every_reason_has_its_field_and_limit():
    codes = [code for found, _ in _limits() for code in found]
    assert sorted(codes) == sorted(REASONS)


def test_every_field_of_a_limit_is_one_of_the_report():
    of_readings = {"range_j", "too_short", "performance"}
    of_parts = {"reason", "ended", "energy_j", "gpu", "ram"}  # of a component, or of an attempt
    for field in {field for _, fields in _limits() for field in fields}:
        model = EnergyReport
        for name in field.split(".") if field not in of_readings | of_parts else ():
            assert name in model.model_fields, field
            told = model.model_fields[name].annotation
            model = next((kind for kind in (told, *get_args(told)) if _is_model(kind)), None)


def _is_model(kind):
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _codes(source):
    """Every literal that a module gives to a parameter or a variable `code`."""
    for node in ast.walk(ast.parse(source)):
        named = (isinstance(node, ast.keyword) and node.arg == "code") or (
            isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "code"
        )
        if named:
            tested = [sub.test for sub in ast.walk(node.value) if isinstance(sub, ast.IfExp)]
            skipped = {id(sub) for test in tested for sub in ast.walk(test)}
            for sub in ast.walk(node.value):
                text = isinstance(sub, ast.Constant) and isinstance(sub.value, str)
                if text and id(sub) not in skipped:
                    yield sub.value


def test_every_error_code_of_a_job_has_its_line():
    used = set()
    for room in ("worker", "training"):
        for path in (ROOT / "app" / room).glob("*.py"):
            used |= set(_codes(path.read_text()))
    used |= {SETTLED}  # a name, which stands in no literal there
    assert {"timeout", "diverged", "training_error"} <= used
    assert set(re.findall(r"(?m)^\| `(\w+)` \|", _reference("job-errors"))) == used


def _kinds():
    for found in pkgutil.iter_modules(app.api.__path__, "app.api."):
        for value in vars(importlib.import_module(found.name)).values():
            candidates = value.values() if isinstance(value, dict) else [value]
            yield from (kind for kind in candidates if isinstance(kind, Kind))


def test_every_problem_has_its_line():
    told = set(re.findall(r"(?m)^\| `([a-z-]+)` \| (\d+) \|", _reference("problems")))
    assert told == {(kind.slug, str(kind.status)) for kind in _kinds()}


def test_the_countries_with_regions_are_named():
    line = next(line for line in _reference("settings").splitlines() if "_REGION`" in line)
    assert re.findall(r"\b[A-Z]{3}\b", line) == list(reference._REGION_TABLES)


def test_every_exit_code_is_told():
    from app.cli import check, commands

    told = _reference("command-line").partition("Exit codes:")[2].partition("\n\n")[0]
    for code in (
        commands.OK,
        commands.JOB_FAILED,
        commands.WRONG_USE,
        commands.UNREACHABLE,
        commands.INTERRUPTED,
        *check.EXIT_CODES.values(),
    ):
        assert re.search(rf"\b{code}\s", told), code


def test_no_page_names_a_setting_that_does_not_exist():
    for path, text in _pages().items():
        if path.parts[0] != "CONTRIBUTING.md":
            named = set(re.findall(r"\bTRAINWATT_([A-Z_]+[A-Z])\b", text))
            assert named <= {name.upper() for name in Settings.model_fields}, path


def test_nothing_is_left_to_fill_in():
    for path, text in _pages().items():
        assert "@@" not in text, path


def test_every_command_has_its_line():
    from typer.main import get_command

    from app.cli.commands import cli

    commands = get_command(cli).commands
    for name, command in commands.items():
        if not command.hidden:
            assert re.search(rf"\| .*`{name}[ `]", _reference("command-line")), name


def test_every_route_has_its_line():
    import app.main

    for route, methods in app.main.app.openapi()["paths"].items():
        path = route.replace("{job_id}", "{id}")
        for method in methods:
            row = rf"(?m)^\| .*`{method.upper()} {re.escape(path)}[`?]"
            assert re.search(row, _reference("http")), (method, path)


def test_the_spec_with_its_defaults_is_the_real_one():
    import json

    text = _reference("job-spec")
    block = next(b for b in re.findall(r"```json\n(.*?)```", text, re.S) if "batch_size" in b)
    assert json.loads(block) == JobSpec.model_validate(
        {"model_type": "cnn", "size": "base", "epochs": 3}
    ).model_dump(mode="json")


def test_every_room_is_in_the_contributors_map():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for room in (ROOT / "app").iterdir():
        if (room / "__init__.py").exists():
            assert f"`{room.name}/`" in text, room.name


def test_every_decision_is_listed():
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    for page in folder.glob("0*.md"):
        assert f"({page.name})" in index


def test_make_targets_that_are_named_exist():
    makefile = (ROOT / "Makefile").read_text()
    for path, text in _pages().items():
        for target in set(re.findall(r"(?:`|\$ )make ([\w-]+)", text)):
            assert re.search(rf"^{target}:", makefile, re.M), (path, target)


def test_the_readme_is_short_enough_to_be_read():
    assert len(README.splitlines()) <= 200


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_link_into_the_repository_has_an_end(name):
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", (ROOT / name).read_text()):
        assert (ROOT / target).exists(), target


def test_every_page_is_linked_from_the_readme_or_stands_beside_one_that_is():
    linked = set(re.findall(r"\]\((docs/[^)#]+\.md)", README))
    for path in _pages():
        about = path.parts[:2] == ("docs", "decisions")
        if path.parts[0] == "docs" and not about and path.name != "index.md":
            assert str(path) in linked, path


def test_the_repository_names_no_machine_and_no_registry():
    told = "|".join(["/wo" + "rk/", "/ro" + "ot/", "pypi" + r"\.org", "python" + "hosted"])
    of_docs = [path for path in DOCS.rglob("*") if path.suffix in {".md", ".py"}]
    for path in [*ROOT.glob("*.md"), *ROOT.glob("*.txt"), *ROOT.glob("*.yml"), *of_docs]:
        assert not re.search(told, path.read_text()), path


WORKLOADS = (ROOT / "docs" / "workloads.md").read_text()
ON_SERIES = {"rnn", "attention", "gru", "transformer"}


@pytest.mark.parametrize("name", catalogue.OWN)
def test_every_family_has_its_line_and_its_sizes(name):
    family = catalogue.OWN[name]
    assert f"| `{name}` | " in WORKLOADS
    if name == "keras" or family.parameters_reason:
        return
    dataset = {"name": "synthetic"} if name in ON_SERIES else {"name": "mnist5k"}
    found = [
        catalogue.facts(JobSpec(model_type=name, size=size, dataset=Dataset(**dataset))).parameters
        for size in family.sizes
    ]
    assert " | ".join(f"{parameters:,}" for parameters in found) in WORKLOADS


@pytest.mark.parametrize("field", Execution.model_fields)
def test_every_setting_of_the_execution_is_explained(field):
    assert f"| `{field}` | " in WORKLOADS
