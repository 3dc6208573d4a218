"""The list of hazards cannot rot: each has its row, its text in its file, and its test."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))
try:
    from hazards import HAZARDS
finally:
    sys.path.pop(0)

PAGE = (ROOT / "docs" / "hazards.md").read_text()
ROWS = dict(re.findall(r"(?m)^\| `([a-z0-9-]+)` (\|.*)$", PAGE))


@pytest.mark.parametrize("hazard", HAZARDS, ids=lambda hazard: hazard.name)
def test_a_hazard_has_its_row_its_text_and_its_test(hazard):
    path, _, function = hazard.test.partition("::")
    assert f"`{hazard.file}`" in ROWS[hazard.name]
    assert f"`{hazard.test}`" in ROWS[hazard.name]
    assert (ROOT / hazard.file).read_text().count(hazard.old) == 1, hazard.old
    assert hazard.new != hazard.old
    assert function in _functions(path)


def test_every_row_is_a_hazard_of_the_list():
    assert sorted(ROWS) == sorted({hazard.name for hazard in HAZARDS})
    assert len(HAZARDS) == len(ROWS)


def test_every_file_and_test_that_the_page_names_is_there():
    for path, function in re.findall(r"`((?:app|tests)/[\w/]+\.py)(?:::(\w+))?`", PAGE):
        assert (ROOT / path).is_file(), path
        assert not function or function in _functions(path), function


def _functions(path):
    tree = ast.parse((ROOT / path).read_text())
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
