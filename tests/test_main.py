"""`app.main:app` is made when it is asked for, once, and an import alone builds nothing."""

import importlib
import subprocess
import sys

import pytest
from fastapi import FastAPI


def test_the_import_builds_nothing():
    code = "import sys, app.main; print(sorted(m for m in sys.modules if m.startswith('app')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "['app', 'app.main']"


def test_the_app_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINWATT_DATA_DIR", str(tmp_path / "none"))
    main = importlib.import_module("app.main")
    monkeypatch.delitem(vars(main), "app", raising=False)
    assert isinstance(main.app, FastAPI)
    assert main.app is main.app
    assert not (tmp_path / "none").exists()
    del vars(main)["app"]


def test_nothing_else_is_made():
    main = importlib.import_module("app.main")
    with pytest.raises(AttributeError, match="nothing"):
        _ = main.nothing
