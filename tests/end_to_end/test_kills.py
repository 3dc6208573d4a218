"""kill -9 of the parts of a running service, in the middle of a job."""

import contextlib
import signal
import time

import psutil
import pytest

LONG = {
    "model_type": "cnn",
    "size": "tiny",
    "epochs": 10_000,
    "dataset": {"name": "digits"},
}


@pytest.fixture
def training(service):
    job_id = service.submit(**LONG)
    service.until(job_id, trains)
    time.sleep(1.5)  # at least one second's reading is stored
    yield job_id
    service.http.post(f"/v1/jobs/{job_id}/cancel")
    service.until(job_id, lambda job: job["finished_at"])


def trains(job):
    return job["stage"] == "training"


def test_of_the_child_the_energy_up_to_the_last_second_is_reported(service):
    job_id = service.submit(**LONG)
    service.until(job_id, trains)
    time.sleep(1.5)
    began_s = time.monotonic()
    child_of(service.worker()).kill()
    job = service.until(job_id, lambda job: job["finished_at"])
    noticed_s = time.monotonic() - began_s
    report = service.report(job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "killed")
    assert report["energy"]["total_j"] > 0
    assert report["duration_s"] > 1.5
    assert report["attempts"][0]["energy_j"] == report["energy"]["total_j"]
    assert noticed_s < 30


def test_of_the_worker_the_job_runs_again_and_nothing_is_forgotten(service, training):
    worker = service.worker()
    child, fork_server = child_of(worker), parent_of_children(worker)
    worker.send_signal(signal.SIGKILL)
    psutil.wait_procs([child, fork_server], timeout=20)
    assert not alive(child)
    assert not alive(fork_server)
    job = service.until(training, lambda job: job["attempt"] == 2 and trains(job))
    assert job["status"] == "running"
    service.http.post(f"/v1/jobs/{training}/cancel")
    service.until(training, lambda job: job["finished_at"])
    report = service.report(training)
    first, second = report["attempts"]
    assert (first["attempt"], first["ended"]) == (1, "lost")
    assert first["energy_j"] > 0
    assert second["energy_j"] == report["energy"]["total_j"]
    spent_j = first["energy_j"] + second["energy_j"]
    assert report["energy"]["spent_j"] == pytest.approx(spent_j)


def test_of_the_fork_server_the_job_fails_and_the_next_one_runs(service, training):
    parent_of_children(service.worker()).kill()
    job = service.until(training, lambda job: job["finished_at"])
    assert (job["status"], job["error"]["code"]) in {("failed", "lost"), ("failed", "killed")}
    next_id = service.submit(**LONG | {"epochs": 1})
    assert service.until(next_id, lambda job: job["finished_at"])["status"] == "succeeded"


def child_of(worker):
    (child,) = parent_of_children(worker).children()
    return child


def parent_of_children(worker):
    (server,) = [p for p in worker.children() if "forkserver" in " ".join(p.cmdline())]
    return server


def alive(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
