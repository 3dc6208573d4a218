"""Loaded by Schemathesis: what exists, bodies that hold, and no request that waits for a worker."""

import base64
import json
import os
import re

import requests
import schemathesis

URL = os.environ["TRAINWATT_TEST_URL"]
KEY = os.environ["TRAINWATT_TEST_KEY"]
JOBS = json.loads(os.environ["TRAINWATT_TEST_JOBS"])  # of each kind one, with and without readings
EVENTS = "/v1/jobs/{job_id}/events"
BEARER = {"Authorization": f"Bearer {KEY}"}
NPZ = base64.b64decode(os.environ["TRAINWATT_TEST_NPZ"])  # a sound data set: chance makes none
DELETED: set[str] = set()
MEDIA = {"Content-Type": "application/octet-stream"}


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
        requests.post(f"{URL}{job}/cancel", headers=BEARER, timeout=30)
    if case.path == "/v1/datasets" and case.method.upper() == "POST" and len(case.body or b"") % 2:
        case.body = NPZ
    if case.path == "/v1/datasets/{name}" and sum(case.formatted_path.encode()) % 2:
        name = {"name": case.formatted_path.rpartition("/")[2]}
        if case.method.upper() == "DELETE":
            DELETED.add(name["name"])
        elif name["name"] in DELETED:  # whoever deletes a thing looks whether it is gone
            return
        headers = BEARER | MEDIA
        requests.post(f"{URL}/v1/datasets", params=name, data=NPZ, headers=headers, timeout=30)
