"""What a training raised, as a code and a sentence."""

import contextlib
import os
import subprocess
import sys
import time

import psutil
import pytest

from app.domain.errors import FieldError, SpecError, TrainingError
from app.worker.child import attempt


class ResourceExhaustedError(Exception):
    """TensorFlow's error of this name, which it raises where a device has no memory left."""


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (TrainingError("the loss became nan", code="diverged"), "diverged", "nan"),
        (SpecError(FieldError(field="size", expected="x", received=1)), "bad_spec", "size"),
        (MemoryError(), "out_of_memory", "memory"),
        (ResourceExhaustedError("OOM when allocating"), "out_of_memory", "allocating"),
        (ValueError("shapes differ"), "training_error", "ValueError: shapes differ"),
    ],
)
def test_every_error_becomes_a_code_and_a_sentence(raised, code, words):
    def run(train):
        raise raised

    failure = attempt(run)
    assert failure.code == code
    assert words in failure.message


def test_no_error_is_no_failure():
    assert attempt(lambda train: None) is None


WORKER = """
import sys, time
from pathlib import Path
from app.domain.specs import JobSpec
from app.worker import child, process

if __name__ == "__main__":
    process.start_fork_server()
    here, there = process._context().Pipe()
    spec = JobSpec(model_type="cnn", size="tiny")
    training = process._context().Process(target=child.main, args=(there, spec, Path(sys.argv[1])))
    training.start()
    here.recv()  # its first mark; without an answer it waits for ever
    print(training.pid, process.fork_server_pid(), flush=True)
    time.sleep(600)
"""


def test_it_does_not_outlive_the_fork_server(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    worker = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
        text=True,
    )
    with worker:
        training, server = map(psutil.Process, map(int, worker.stdout.readline().split()))
        try:
            server.kill()
            deadline_s = time.monotonic() + 10
            while alive(training):
                assert time.monotonic() < deadline_s
                time.sleep(0.02)
            assert worker.poll() is None
        finally:
            worker.kill()
            with contextlib.suppress(psutil.NoSuchProcess):
                training.kill()


def alive(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False
