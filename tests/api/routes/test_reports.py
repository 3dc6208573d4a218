"""The routes of reports and readings."""

import pytest

from app.domain.readings import Readings


@pytest.mark.parametrize("path", ["/v1/jobs/{}", "/v1/jobs/{}/report", "/v1/jobs/{}/readings"])
@pytest.mark.parametrize("job_id", ["nothing", "a%00b", "x" * 200, "..%2f"])
async def test_an_unknown_job_is_404(client, path, job_id):
    answer = await client.get(path.format(job_id))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_report_of_a_running_job_is_409_with_its_status(client, memory, submitted):
    job = await submitted()
    memory.start(job["id"])
    answer = await client.get(f"/v1/jobs/{job['id']}/report")
    assert (answer.status_code, answer.json()["job_status"]) == (409, "running")
    assert answer.json()["status"] == 409


async def test_report_bytes_go_out_as_they_are_stored(client, memory, submitted):
    job = await submitted()
    memory.reports[job["id"]] = b'{"not":   "parsed"}'
    answer = await client.get(f"/v1/jobs/{job['id']}/report")
    assert answer.content == b'{"not":   "parsed"}'
    assert answer.headers["content-type"] == "application/json"


async def test_readings_of_an_attempt(client, memory, submitted):
    job = await submitted()
    memory.start(job["id"])
    for path in ("readings", "readings?attempt=1"):
        answer = await client.get(f"/v1/jobs/{job['id']}/{path}")
        readings = Readings.model_validate_json(answer.content)
        assert (answer.status_code, readings.attempt) == (200, 1)
        assert answer.headers["content-type"] == "application/json"
        assert readings.to_bytes() == answer.content


async def test_readings_that_are_not_there(client, memory, submitted):
    job = await submitted()
    path = f"/v1/jobs/{job['id']}/readings"
    queued = await client.get(path)
    assert (queued.status_code, queued.json()["job_status"]) == (409, "queued")
    memory.start(job["id"])
    assert (await client.get(f"{path}?attempt=2")).status_code == 404
    assert (await client.get(f"{path}?attempt=0")).status_code == 422
    parquet = {"Accept": "application/vnd.apache.parquet"}
    assert (await client.get(path, headers=parquet)).status_code == 406
