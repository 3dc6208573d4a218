"""A service that a network can reach: nothing without its key, and the key in no log."""

import os
import re
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def guarded(serving):
    with serving(TRAINWATT_HOST="0.0.0.0") as running:
        yield running


@pytest.fixture(scope="module")
def key(guarded):
    return re.search(r"^Key: (\S{43})$", guarded.printed(), re.M)[1]


def trainwatt(guarded, *words, **settings):
    environment = os.environ | {"TRAINWATT_URL": str(guarded.http.base_url), **settings}
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_the_key_nothing_but_life_and_readiness_answers(guarded, key):
    assert guarded.http.get("/v1/jobs").status_code == 401
    assert guarded.http.get("/docs").status_code == 401
    assert guarded.http.get("/healthz").status_code == 200
    assert guarded.http.get("/readyz").status_code == 200
    bearer = {"Authorization": f"Bearer {key}"}
    assert guarded.http.get("/v1/jobs", headers=bearer).status_code == 200


def test_the_printed_address_opens_the_page(guarded, key):
    address = re.search(r"^In a browser: (\S+)$", guarded.printed(), re.M)[1]
    assert guarded.http.get(address, follow_redirects=True).status_code == 200
    guarded.http.cookies.clear()


def test_the_command_line_sends_it(guarded, key):
    assert trainwatt(guarded, "list", TRAINWATT_API_KEY=key).returncode == 0
    refused = trainwatt(guarded, "list", TRAINWATT_API_KEY="another-key")
    assert refused.returncode == 2
    assert "TRAINWATT_API_KEY" in refused.stderr
    assert key not in refused.stderr


def test_on_the_same_data_directory_the_command_line_finds_it(guarded, key):
    assert trainwatt(guarded, "list", TRAINWATT_DATA_DIR=str(guarded.data_dir)).returncode == 0
    assert trainwatt(guarded, "list").returncode == 2


def test_it_stands_in_no_log(guarded, key):
    guarded.http.get("/docs", params={"key": key})
    guarded.http.cookies.clear()
    for path in (guarded.data_dir / "logs").iterdir():
        assert key not in path.read_text(), path
    assert (guarded.data_dir / "api_key").stat().st_mode & 0o777 == 0o600


def test_a_worker_says_whether_it_is_alive(guarded):
    ours = guarded.worker().environ()
    url = {"TRAINWATT_DATABASE_URL": ours["TRAINWATT_DATABASE_URL"]}
    assert trainwatt(guarded, "worker", "--healthcheck", **url).returncode == 0
    unknown = trainwatt(guarded, "worker", "--healthcheck", TRAINWATT_HOST_NAME="nobody", **url)
    assert unknown.returncode == 3
    assert "nobody" in unknown.stderr
