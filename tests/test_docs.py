"""The documentation is tested: no setting, command, route, reason or room without its line."""

import re
from pathlib import Path

import pytest

from app.accounting.trust import REASONS
from app.domain.specs import JobSpec
from app.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_has_its_line(name):
    assert f"| `TRAINWATT_{name.upper()}` |" in README


def test_no_setting_is_invented():
    named = set(re.findall(r"\| `TRAINWATT_(\w+)` \|", README))
    assert named == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("code", sorted(REASONS))
def test_every_reason_has_its_grade_meaning_and_cure(code):
    reason = REASONS[code]
    assert f"| `{code}` | {reason.grade} | {reason.meaning} {reason.what_to_do} |" in README


def test_every_command_has_its_line():
    from typer.main import get_command

    from app.cli.commands import cli

    commands = get_command(cli).commands
    for name, command in commands.items():
        if not command.hidden:
            assert re.search(rf"\| .*`{name}[ `]", README), name


def test_every_route_has_its_line():
    import app.main

    for route, methods in app.main.app.openapi()["paths"].items():
        path = route.replace("{job_id}", "{id}")
        for method in methods:
            assert f"`{method.upper()} {path}" in README, (method, path)


def test_the_spec_with_its_defaults_is_the_real_one():
    import json

    block = next(b for b in re.findall(r"```json\n(.*?)```", README, re.S) if "batch_size" in b)
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


def test_make_targets_of_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:`|\$ )make (\w+)", README)):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_the_repository_names_no_machine_and_no_registry():
    told = "|".join(["/wo" + "rk/", "/ro" + "ot/", "pypi" + r"\.org", "python" + "hosted"])
    for path in [*ROOT.glob("*.md"), *ROOT.glob("*.txt"), *(ROOT / "docs").rglob("*.md")]:
        assert not re.search(told, path.read_text()), path
