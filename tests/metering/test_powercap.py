"""Permission on RAPL counters, asked from a process that has dropped its rights."""

import subprocess
import sys
import tempfile
from pathlib import Path

from app.metering import powercap


def test_no_tree_is_no_denial(tmp_path):
    assert powercap.denied(tmp_path) is None


def test_a_readable_counter_is_no_denial(tmp_path):
    _counter(tmp_path, mode=0o444)
    assert powercap.denied(tmp_path) is None


def test_an_unreadable_counter_says_which_and_the_cure():
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        path = _counter(root, mode=0o000)
        said = _ask_without_rights(root)
    assert f"no permission to read {path}" in said
    assert f"chmod o+r {path}" in said


def test_links_that_lead_nowhere_are_masked(tmp_path):
    (tmp_path / "intel-rapl:0").symlink_to(tmp_path / "devices" / "intel-rapl:0")
    assert "systempaths=unconfined" in powercap.denied(tmp_path)


def test_every_package_that_can_be_read_is_not_missing(tmp_path):
    _counter(tmp_path, mode=0o444, package="package-0")
    assert powercap.missing(tmp_path) is None


def test_one_package_that_cannot_be_read_is_missing_with_the_cure():
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        _counter(root, mode=0o444, package="package-0")
        path = _counter(root, mode=0o000, folder="intel-rapl:1", package="package-1")
        _counter(root, mode=0o000, folder="intel-rapl:0:0", package="core")
        said = _ask_without_rights(root, "missing")
    assert f"no permission to read {path}: chmod o+r {path}" in said


def test_a_package_that_one_interface_shows_is_not_missing():
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        _counter(root, mode=0o444, folder="intel-rapl-mmio:0", package="package-0")
        _counter(root, mode=0o000, package="package-0")
        assert _ask_without_rights(root, "missing") == "None\n"


def test_a_counter_that_holds_no_number_is_missing(tmp_path):
    path = _counter(tmp_path, mode=0o444, package="package-0", text="")
    assert powercap.missing(tmp_path) == f"{path} cannot be read: it holds no number"


def _ask_without_rights(root, question="denied"):
    code = (
        "import os, pathlib, sys\n"
        "from app.metering import powercap\n"  # imported with rights: the checkout may be private
        "os.getuid() == 0 and os.setuid(65534)\n"
        "print(getattr(powercap, sys.argv[2])(pathlib.Path(sys.argv[1])))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(root), question],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def _counter(root, *, mode, folder="intel-rapl:0", package=None, text="1"):
    path = root / folder / "energy_uj"
    path.parent.mkdir()
    if package:
        (path.parent / "name").write_text(f"{package}\n")
    path.write_text(text)
    path.chmod(mode)
    return path
