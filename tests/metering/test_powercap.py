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


def _ask_without_rights(root):
    code = (
        "import os, pathlib, sys\n"
        "from app.metering import powercap\n"  # imported with rights: the checkout may be private
        "os.getuid() == 0 and os.setuid(65534)\n"
        "print(powercap.denied(pathlib.Path(sys.argv[1])))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True
    ).stdout


def _counter(root, *, mode):
    path = root / "intel-rapl:0" / "energy_uj"
    path.parent.mkdir()
    path.write_text("1")
    path.chmod(mode)
    return path
