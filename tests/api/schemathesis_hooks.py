"""Loaded by Schemathesis: identifiers that exist, and requests that would wait for a worker."""

import json
import os
import re

import requests
import schemathesis

URL = os.environ["TRAINWATT_TEST_URL"]
KEY = os.environ["TRAINWATT_TEST_KEY"]
JOBS = json.loads(os.environ["TRAINWATT_TEST_JOBS"])  # of each kind one, with and without readings
EVENTS = "/v1/jobs/{job_id}/events"


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Half of the identifiers are of jobs that there are: chance alone finds none."""
    job_id = (path_parameters or {}).get("job_id")
    if isinstance(job_id, str) and len(job_id) % 2:
        return path_parameters | {"job_id": JOBS[sum(job_id.encode()) % len(JOBS)]}
    return path_parameters


@schemathesis.hook
def before_call(context, case, kwargs):
    """No worker is there: nobody waits for one, and a stream ends with its job."""
    wait = (case.query or {}).get("wait")
    if re.fullmatch(r"\d+(\.\d+)?", str(wait)) and 0.1 < float(wait) <= 300:  # or a text of it
        case.query["wait"] = "0.1" if isinstance(wait, str) else 0.1
    if case.path == EVENTS and case.method.upper() == "GET":
        job = case.formatted_path.removesuffix("/events")
        requests.post(f"{URL}{job}/cancel", headers={"Authorization": f"Bearer {KEY}"}, timeout=30)
