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


def test_of_the_database_the_same_attempt_goes_on(service, capsys):
    """Worker and API find the new server by themselves: neither is started again."""
    job_id = service.submit(**LONG | {"epochs": 150})
    service.until(job_id, trains)
    time.sleep(1.5)
    worker, api = service.worker(), service.part("api")
    service.part("postgres").kill()
    began_s = time.monotonic()
    until(lambda: not ready(service), "nobody misses the database")
    until(lambda: ready(service), "the service is not ready again")
    with capsys.disabled():
        print(f"\nready again after {time.monotonic() - began_s:.1f} s")  # noqa: T201
    job = service.until(job_id, lambda job: job["finished_at"])
    assert (job["status"], job["attempt"]) == ("succeeded", 1)
    report = service.report(job_id)
    assert [attempt["ended"] for attempt in report["attempts"]] == ["succeeded"]
    assert len([p for p in report["phases"] if p["name"] == "epoch"]) == 150
    assert sum(p["energy_j"] for p in report["phases"]) == pytest.approx(
        report["energy"]["total_j"], rel=1e-3
    )
    assert (alive(worker), alive(api)) == (True, True)
    began_s = time.monotonic()
    next_id = service.submit(**LONG | {"epochs": 1})
    service.until(next_id, lambda job: job["started_at"])
    with capsys.disabled():
        print(f"the next job began {time.monotonic() - began_s:.2f} s after it came")  # noqa: T201
    assert service.until(next_id, lambda job: job["finished_at"])["status"] == "succeeded"


def ready(service):
    return service.http.get("/readyz").is_success


def until(true, what):
    deadline_s = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.02)


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
