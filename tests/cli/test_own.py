"""`trainwatt run`'s own service: how its start is waited for and what is said where it fails."""

import io
import subprocess
import sys

import pytest

from app.cli.own import _url, check  # noqa: PLC2701
from app.domain.errors import SpecError, UnavailableError, UsageError


@pytest.fixture
def started():
    """Starts a line of Python in place of the service."""
    processes = []

    def start(code):
        complaints = io.BytesIO()
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        processes.append(process)
        return process, complaints

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_the_url_is_read_from_the_first_line(started):
    code = """print('{"url": "http://127.0.0.1:1", "data_dir": "/d"}', flush=True); input()"""
    assert _url(*started(code)) == "http://127.0.0.1:1"


@pytest.mark.parametrize(("code", "error"), [(2, UsageError), (3, UnavailableError)])
def test_a_service_that_ends_gives_its_reason(started, code, error):
    process, complaints = started(f"raise SystemExit({code})")
    complaints.write(b"2026-11-24 INFO serve: a line of a log\ntrainwatt: the disk is full\n")
    with pytest.raises(error, match="the disk is full") as caught:
        _url(process, complaints)
    assert "trainwatt: " not in str(caught.value)
    assert "INFO" not in str(caught.value)


def test_a_service_that_says_nothing_has_its_exit_code(started):
    process, complaints = started("raise SystemExit(9)")
    with pytest.raises(UnavailableError, match="exit code 9"):
        _url(process, complaints)


def test_what_the_catalogue_does_not_know_is_refused_before_anything_starts():
    with pytest.raises(SpecError, match="model_type"):
        check({"model_type": "lstm"})
    check({"model_type": "cnn", "epochs": 1})
