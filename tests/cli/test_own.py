"""`trainwatt run`'s own service: how its start is waited for and what is said where it fails."""

import io
import os
import subprocess
import sys
import tempfile
from unittest.mock import Mock

import pytest
from rich.console import Console

from app.cli.own import _url, check, service  # noqa: PLC2701
from app.domain.errors import SpecError, UnavailableError, UsageError
from app.ownership import Owner, own
from app.settings import Settings


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


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Puts a script in place of `trainwatt serve`; answers what is in the temporary folder."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    def put(script):
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))
        return folder

    return put


def _service(tmp_path, **how):
    settings = Settings(data_dir=tmp_path / "data", host="0.0.0.0")
    console = Console(file=io.StringIO())
    return service(settings, say=pytest.fail, console=console, **how)


SAYS_HOW = """printf '{"url": "%s"}\\n' "$*"; exec sleep 600"""


@pytest.mark.parametrize("throwaway", [True, False])
def test_a_service_for_one_job_is_on_loopback_whatever_the_settings_say(serve, tmp_path, throwaway):
    folder = serve(SAYS_HOW)
    with _service(tmp_path, throwaway=throwaway) as here:
        assert here.started_here
        asked = here.url.split()
        assert asked[asked.index("--host") + 1] == "127.0.0.1"
        assert ("--throwaway" in asked) is throwaway
        data_dir = asked[asked.index("--data-dir") + 1]
        assert (data_dir == str(tmp_path / "data")) is not throwaway
    assert os.listdir(folder) == []


@pytest.mark.parametrize(
    ("script", "error"),
    [("echo 'trainwatt: no' >&2; exit 2", UsageError), ("exit 3", UnavailableError)],
)
def test_a_refused_throwaway_service_leaves_no_directory(serve, tmp_path, script, error):
    folder = serve(script)
    with pytest.raises(error), _service(tmp_path, throwaway=True):
        pass
    assert os.listdir(folder) == []


@pytest.mark.parametrize("labels", [("gpu",), ("host:elsewhere",)])
def test_a_label_that_our_worker_does_not_take_is_refused(tmp_path, labels):
    with (
        pytest.raises(UsageError, match=f"takes no label {labels[0]}; see TRAINWATT_LABELS"),
        _service(tmp_path, throwaway=True, labels=labels),
    ):
        pass


def test_a_service_that_another_run_started_meanwhile_is_taken(tmp_path, monkeypatch):
    refused = UsageError("belongs to a running service")
    monkeypatch.setattr("app.cli.own._started", Mock(side_effect=refused))
    running = iter([None, Owner(pid=1, url="http://127.0.0.1:9")])
    monkeypatch.setattr("app.cli.own.owner", lambda _: next(running))
    monkeypatch.setattr("app.cli.own._answers", lambda _: True)
    settings = Settings(data_dir=tmp_path)
    said = []
    with service(settings, throwaway=False, say=said.append, console=Console()) as here:
        assert (here.url, here.started_here) == ("http://127.0.0.1:9", False)
    assert len(said) == 1


def test_a_service_that_runs_is_taken_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr("app.cli.own.ANSWER_S", 0.0)
    said = []
    settings = Settings(data_dir=tmp_path)
    with (
        own(tmp_path, "http://127.0.0.1:9"),
        service(
            settings, throwaway=False, say=said.append, console=Console(file=io.StringIO())
        ) as here,
    ):
        assert (here.url, here.started_here) == ("http://127.0.0.1:9", False)
    assert str(os.getpid()) in said[0]
