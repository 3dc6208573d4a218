"""One owner of a data directory."""

import os
import stat
import subprocess
import sys

import pytest

from app.domain.errors import UsageError
from app.ownership import LOCK_FILE, Owner, own, owner

URL = "http://127.0.0.1:8000"
OTHER = """
import sys
from pathlib import Path
from app.ownership import own
with own(Path(sys.argv[1]), "http://127.0.0.1:8000"):
    print("mine", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that owns the directory."""
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout.readline() == b"mine\n"
        yield process
        process.kill()


def test_nobody_owns_what_is_not_there(tmp_path):
    assert owner(tmp_path) is None
    assert owner(tmp_path / "none") is None


def test_an_owner_is_known_to_others(tmp_path, other):
    assert owner(tmp_path) == Owner(pid=other.pid, url=URL)


def test_the_second_one_is_refused_with_pid_and_url(tmp_path, other):
    with pytest.raises(UsageError, match=f"process {other.pid}, {URL}"), own(tmp_path, URL):
        pass


def test_a_killed_owner_owns_nothing(tmp_path, other):
    other.kill()
    other.wait()
    assert owner(tmp_path) is None
    with own(tmp_path, URL):
        assert owner(tmp_path) == Owner(pid=os.getpid(), url=URL)
    assert owner(tmp_path) is None


def test_the_directory_is_made_for_its_owner_alone(tmp_path):
    with own(tmp_path / "a" / "b", URL):
        assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "a" / "b" / LOCK_FILE).stat().st_mode) == 0o600


def test_a_file_in_its_place_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--data-dir"), own(tmp_path / "file", URL):
        pass
    assert owner(tmp_path / "file") is None
