"""Loaded by Schemathesis: what exists, bodies that hold, and no request that waits for a worker."""

import base64
import functools
import json
import os
import re

import requests
import schemathesis

URL = os.environ["TRAINWATT_TEST_URL"]
KEY = os.environ["TRAINWATT_TEST_KEY"]
JOBS = json.loads(os.environ["TRAINWATT_TEST_JOBS"])  # of each kind one, with and without readings
EVENTS = "/v1/jobs/{job_id}/events"
READINGS = "/v1/jobs/{job_id}/readings"
BEARER = {"Authorization": f"Bearer {KEY}"}
NPZ = base64.b64decode(os.environ["TRAINWATT_TEST_NPZ"])  # a sound data set: chance makes none
REPORT = json.loads(os.environ["TRAINWATT_TEST_REPORT"])  # a whole one: chance makes none
DELETED: set[str] = set()
MEDIA = {"Content-Type": "application/octet-stream"}


def _often(given):
    """True for about half of what is generated."""
    return sum(repr(given).encode()) % 2


@functools.cache
def _experiment():
    """One that has ended, so that its events end."""
    spec = {"base": {"model_type": "cnn", "size": "tiny"}, "variants": [{}], "repeats": 1}
    made = requests.post(f"{URL}/v1/experiments", json=spec, headers=BEARER, timeout=30).json()
    requests.post(f"{URL}{made['links']['self']}/cancel", headers=BEARER, timeout=30)
    return made["id"]


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Half of the identifiers are of jobs that there are: chance alone finds none."""
    name = (path_parameters or {}).get("experiment_id")
    if isinstance(name, str) and len(name) % 2:
        return path_parameters | {"experiment_id": _experiment()}
    job_id = (path_parameters or {}).get("job_id")
    if isinstance(job_id, str) and len(job_id) % 2:
        if context.operation.path == READINGS:
            return path_parameters | {"job_id": JOBS[0]}  # the one that has some
        return path_parameters | {"job_id": JOBS[sum(job_id.encode()) % len(JOBS)]}
    return path_parameters


@schemathesis.hook
def before_call(context, case, kwargs):
    """No worker is there: nobody waits for one, and a stream ends with its job."""
    wait = (case.query or {}).get("wait")
    if re.fullmatch(r"\d+(\.\d+)?", str(wait)) and 0.1 < float(wait) <= 300:  # or a text of it
        case.query["wait"] = "0.1" if isinstance(wait, str) else 0.1
    if case.path == READINGS and (case.path_parameters or {}).get("job_id") == "0":
        case.path_parameters["job_id"] = JOBS[
            0
        ]  # in the phase that `map_path_parameters` is not in
    if case.path == EVENTS and case.method.upper() == "GET":
        job = case.formatted_path.removesuffix("/events")
        requests.post(f"{URL}{job}/cancel", headers=BEARER, timeout=30)
    if case.path == "/v1/reports" and case.method.upper() == "POST" and _often(case.body):
        case.body = REPORT
    if case.path == "/v1/compare" and case.query and set(case.query) == {"a", "b"}:
        posted = requests.post(f"{URL}/v1/reports", json=REPORT, headers=BEARER, timeout=30)
        if _often(case.query):
            case.query |= {"a": JOBS[0], "b": posted.json()["job_id"]}
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
