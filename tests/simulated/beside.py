"""A job with a planted load beside it: what the report says of others, and what is true."""

import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.simulated.loads import noted, planted
from tests.simulated.others import Watch, at

MARGIN_S = 0.5  # before and after the run, in which the truth is looked at too
POLL_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A run beside a load; shares are of the host's CPU time in the run's own window.

    Attributes:
        trust: as the report tells it.
        load_share: the planted load, by its own account.
        others_share: the load and everything else on the machine that is not the service's.
        service_share: the service without the training.
    """

    trust: dict[str, Any]
    load_share: float
    others_share: float
    service_share: float

    @property
    def codes(self) -> set[str]:
        """The reasons for its grade."""
        return {reason["code"] for reason in self.trust["reasons"]}


def beside(
    http: httpx.Client, supervisor: int, spec: Mapping[str, object], *words: object
) -> Beside:
    """Run a job on a service that `supervisor` holds, with a load beside it."""
    with (
        tempfile.TemporaryDirectory(prefix="trainwatt-load-") as folder,
        planted(Path(folder) / "log", *words) as log,
    ):
        load = next(p.pid for p in psutil.Process().children() if str(log) in p.cmdline())
        with Watch(supervisor, left_out=[load]) as watch:
            time.sleep(MARGIN_S)
            job_id = _succeeded(http, spec)
            time.sleep(MARGIN_S)
        record = http.get(f"/v1/jobs/{job_id}/readings").raise_for_status().json()
        begin_s, end_s = _window(record)
        load_s = at(noted(log), end_s) - at(noted(log), begin_s)
    first, last = record["readings"][0], record["readings"][-1]
    job_s = last["job_cpu_s"] - (first.get("job_cpu_s") or 0.0)
    host_s = (end_s - begin_s) * (os.cpu_count() or 1)
    report = http.get(f"/v1/jobs/{job_id}/report").raise_for_status().json()
    return Beside(
        trust=report["trust"],
        load_share=load_s / host_s,
        others_share=(load_s + watch.others_s(begin_s, end_s)) / host_s,
        service_share=(watch.service_s(begin_s, end_s) - job_s) / host_s,
    )


def _succeeded(http: httpx.Client, spec: Mapping[str, object]) -> str:
    job = http.post("/v1/jobs", json=spec).raise_for_status().json()
    while job["status"] in {"queued", "running"}:
        time.sleep(POLL_S)
        job = http.get(f"/v1/jobs/{job['id']}").raise_for_status().json()
    if job["status"] != "succeeded":
        raise RuntimeError(f"expected a job that succeeds, received {job}")
    return str(job["id"])


def _window(record: Mapping[str, Any]) -> tuple[float, float]:
    """First and last reading on the monotonic clock, to a few milliseconds."""
    started_s = datetime.fromisoformat(record["started_at"]).timestamp()
    begin_s = started_s - time.time() + time.monotonic()
    return begin_s, begin_s + record["readings"][-1]["t_s"]
