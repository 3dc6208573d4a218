"""POST → `running` on an idle and quiet service: 20 jobs, one after the other, polled."""

import time
from datetime import datetime

from bench.record import spread
from bench.service import Service, service

JOBS = 20
POLL_S = 0.02
REST_S = 0.5
QUIET_WAIT_S = "10"  # as it comes: what a user waits is the subject
SPEC = {"model_type": "cnn", "size": "tiny", "epochs": 1, "dataset": {"name": "digits"}}


def run() -> dict[str, object]:
    """Seconds as a client sees them, and as the database's own clock says."""
    with service(TRAINWATT_QUIET_WAIT_S=QUIET_WAIT_S) as running:
        seen, stored = zip(*(_one(running) for _ in range(JOBS)), strict=True)
    return {
        "what": f"POST /v1/jobs until `running`, {JOBS} jobs, polled every {POLL_S} s",
        "goal_median_s": 0.05,
        "seen_by_client_s": spread(seen),
        "created_to_started_s": spread(stored),
    }


def _one(running: Service) -> tuple[float, float]:
    began_s = time.perf_counter()
    job_id = running.submit(**SPEC)
    while running.job(job_id)["status"] == "queued":
        time.sleep(POLL_S)
    seen_s = time.perf_counter() - began_s
    job = running.wait(job_id)
    time.sleep(REST_S)
    created, started = (datetime.fromisoformat(str(job[k])) for k in ("created_at", "started_at"))
    return seen_s, (started - created).total_seconds()
