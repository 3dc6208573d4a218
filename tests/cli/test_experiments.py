"""`trainwatt experiment`: files, tables, exit codes; jobs ended by the test as a worker would."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from app.bootstrap import make_api
from app.client import Client
from app.settings import Settings
from app.storage.store import Store
from app.worker.bench import Bench
from app.worker.experiments import settle

YAML = """
name: batches
base: {model_type: cnn, size: tiny, dataset: {name: digits}}
vary: {batch_size: [32, 128]}
repeats: 2
"""


@pytest.fixture
def url(database_url, tmp_path, serving):
    with serving(make_api(Settings(database_url=database_url, data_dir=tmp_path))) as served:
        yield served


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "experiment.yaml"
    path.write_text(YAML)
    return str(path)


@pytest.fixture
def experiment(url):
    def run(*arguments, **given):
        return subprocess.run(
            [sys.executable, "-m", "app.cli", "experiment", *arguments],
            env=os.environ | {"TRAINWATT_URL": url},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            **given,
        )

    return run


@pytest.fixture
def worker(database_url, make_host, finish_job, url):
    """Ends every job of the first experiment that comes, in a thread."""

    async def work(accuracy):
        store = await Store.open(database_url)
        bench = Bench(settings=Settings(), store=store, meter=None, host=make_host("box").facts)
        try:
            while not (page := await store.list_experiments()).items:
                await asyncio.sleep(0.05)
            (made,) = page.items
            listed = await store.list_jobs(limit=100)
            for job in sorted(listed.items, key=lambda job: job.queue_position):
                await finish_job(store, job.id, stretch=1 + job.variant, accuracy=accuracy)
                await settle(bench, made.id)
        finally:
            await store.close()

    def begin(accuracy=0.9):
        thread = threading.Thread(target=lambda: asyncio.run(work(accuracy)))
        thread.start()
        return thread

    return begin


def test_one_is_run_to_its_end_listed_and_shown(experiment, file, worker):
    assert "No experiments" in experiment("list").stdout
    thread = worker()
    done = experiment("run", file)
    thread.join()
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "batch_size=32 uses 50 % less energy than batch_size=128" in text
    assert "batches: ended, since every job has ended; 4 of 4 jobs have ended" in text
    assert "4 jobs" in done.stderr and "ended, since every job has ended" in done.stderr
    listed = json.loads(experiment("list", "--json").stdout)
    (made,) = listed["items"]
    assert "batches" in experiment("list").stdout
    assert "batch_size=32" in experiment("show", made["id"]).stdout
    shown = json.loads(experiment("show", made["id"], "--json").stdout)
    assert shown["result"]["best"] == 0
    again = experiment("cancel", made["id"])
    assert (again.returncode, again.stdout) == (2, "")
    assert "ended already" in again.stderr


def test_where_nothing_can_be_advised_the_exit_code_says_so(experiment, worker, tmp_path):
    path = tmp_path / "e.json"
    path.write_text(
        json.dumps(
            {
                "base": {"model_type": "cnn", "size": "tiny", "dataset": {"name": "digits"}},
                "variants": [{}, {"batch_size": 64}],
                "repeats": 1,
                "constraint": {"min_accuracy": 0.99},
            }
        )
    )
    thread = worker(accuracy=0.5)
    done = experiment("run", str(path), "--json")
    thread.join()
    assert done.returncode == 1
    assert json.loads(done.stdout)["result"]["best"] is None


def test_ctrl_c_cancels_it(url, file):
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "experiment", "run", file],
        env=os.environ | {"TRAINWATT_URL": url},
        stderr=subprocess.PIPE,
        text=True,
    )
    with Client(url) as client:
        deadline_s = time.monotonic() + 60
        while not client.experiments().items:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
        (made,) = client.experiments().items
    assert process.returncode == 130, told
    assert (made.ended, made.jobs) == ("cancelled", {"cancelled": 4})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read (No such file"),
        ("a: [", "expected an experiment in YAML"),
        ("- 1", "expected fields as base and vary, received list"),
        ("base: 2026-01-01", "expected an experiment in YAML"),
        (YAML.replace("128", "0"), "vary[batch_size=0].batch_size: expected an integer"),
        (YAML.replace("batch_size", "batchsize"), "did you mean batch_size?"),
    ],
)
def test_wrong_use_is_one_sentence(experiment, tmp_path, content, words):
    path = tmp_path / "e.yaml"
    if content is not None:
        path.write_text(content)
    done = experiment("run", str(path))
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert line.startswith("trainwatt: ") and words in line
    assert experiment("list", "--json").stdout.count('"id"') == 0
