"""What measuring costs: CPU-seconds of the instrument over the job's, at a job of a minute."""

from bench.record import spread
from bench.service import service

JOBS = 3
SPEC = {"model_type": "cnn", "size": "base", "epochs": 90}


def run() -> dict[str, object]:
    """The worker's own counter (meter, events, storing) over that of the training process."""
    shares, service_shares, durations = [], [], []
    with service() as running:
        for _ in range(JOBS):
            job_id = running.submit(**SPEC)
            running.wait(job_id, poll_s=1.0)
            record = running.http.get(f"/v1/jobs/{job_id}/readings").json()
            first, last = record["readings"][0], record["readings"][-1]
            job_s = last["job_cpu_s"] - first["job_cpu_s"]
            shares.append((last["instrument_cpu_s"] - first["instrument_cpu_s"]) / job_s)
            service_shares.append((last["service_cpu_s"] - first["service_cpu_s"]) / job_s)
            durations.append(last["t_s"])
    return {
        "what": f"CPU-seconds over the job's, {JOBS} jobs of about a minute, polled once a second",
        "goal_instrument_share": 0.005,
        "duration_s": spread(durations),
        "instrument_share": spread(shares),
        "whole_service_share": spread(service_shares),
    }
