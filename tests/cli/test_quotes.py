"""`trainwatt quote` and `track-record`, and `--force`, on a real API without a worker."""

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from app.bootstrap import make_api
from app.settings import Settings
from app.storage.store import Store

TINY = ("--model-type", "cnn", "--size", "tiny", "--epochs", "1", "--dataset", "digits")


@pytest.fixture
def url(database_url, tmp_path, serving):
    with serving(make_api(Settings(database_url=database_url, data_dir=tmp_path))) as served:
        yield served


@pytest.fixture
def trainwatt(url):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments],
            env=os.environ | {"TRAINWATT_URL": url},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture
def worked(url, database_url, make_host, finish_job):
    """Ends every job that waits, on the host `box`."""

    async def work():
        store = await Store.open(database_url)
        try:
            await store.beat(make_host("box", last_seen=datetime.now(UTC)))
            for job in (await store.list_jobs()).items:
                if not job.status.final:
                    await finish_job(store, job.id)
        finally:
            await store.close()

    return lambda: asyncio.run(work())


def test_quotes_budgets_and_their_track_record(trainwatt, worked):
    worked()
    before = trainwatt("quote", *TINY)
    assert (before.returncode, before.stderr) == (1, "")
    assert before.stdout.startswith("No quote: no job like it has run on box")
    assert "No quote has been put to the test" in trainwatt("track-record").stdout
    for _ in range(4):
        assert trainwatt("submit", *TINY).returncode == 0
        worked()
    told = trainwatt("quote", *TINY)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("About 200 J")
    as_json = json.loads(trainwatt("quote", *TINY, "--on-host", "box", "--json").stdout)
    assert (as_json["basis"], as_json["like_jobs"]) == ("same_work", 4)
    record = trainwatt("track-record")
    assert "box" in record.stdout
    assert "Over 1 job the energy was off by" in record.stdout

    refused = trainwatt("submit", *TINY, "--energy-j", "50")
    assert refused.returncode == 2
    assert "limits.energy_j is 50.0 J" in refused.stderr
    forced = trainwatt("submit", *TINY, "--energy-j", "50", "--force")
    assert (forced.returncode, forced.stderr) == (0, "")
    assert "About 200 J" in forced.stdout


def test_a_wrong_field_is_named(trainwatt):
    wrong = trainwatt("quote", *TINY, "--epochs", "0")
    assert wrong.returncode == 2
    assert "epochs: expected" in wrong.stderr
    elsewhere = trainwatt("quote", *TINY, "--on-host", "nowhere")
    assert elsewhere.returncode == 2
    assert "host: expected a host whose worker takes this job" in elsewhere.stderr
