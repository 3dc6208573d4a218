"""What counts as noticed: a failure of the test, not any way to end badly."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

FAILS = "def test_it():\n    assert 0\n"
PASSES = "def test_it():\n    pass\n"
FIXTURE = "import pytest\n@pytest.fixture\ndef broken():\n    {}\ndef test_it(broken):\n    {}\n"


@pytest.fixture
def sign(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    spec = importlib.util.spec_from_file_location("check", Path(__file__).parent / "check.py")
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    return check.sign


@pytest.mark.parametrize(
    ("code", "text", "shown"),
    [
        (1, FAILS, "failure"),
        (1, FIXTURE.format("assert 0", "pass"), "error"),
        (1, FIXTURE.format("yield; assert 0", "pass"), "error"),
        (1, FIXTURE.format("yield; assert 0", "assert 0"), "failure"),
        (0, PASSES, None),
        (2, "import nothing_of_this_name\n", None),
    ],
)
def test_what_a_run_shows(sign, tmp_path, code, text, shown):
    (tmp_path / "test_it.py").write_text(text)
    results = tmp_path / "results.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    words = [f"--junitxml={results}", f"--rootdir={tmp_path}", "-c", "/dev/null", "test_it.py"]
    run = subprocess.run([*command, *words], cwd=tmp_path, capture_output=True, check=False)
    assert run.returncode == code
    assert sign(code, results) == shown


def test_a_run_that_does_not_end_and_one_that_leaves_nothing(sign, tmp_path):
    assert sign(None, tmp_path / "none.xml") == "hang"
    assert sign(1, tmp_path / "none.xml") is None
