"""The route of a report in another one's format."""

import pytest

from app.api.routes.exports import Name
from app.exports.formats import FORMATS


@pytest.fixture
async def done(client, memory, submitted):
    """A job that was cancelled in the queue, which has a report without figures."""
    job = await submitted()
    await client.post(f"/v1/jobs/{job['id']}/cancel")
    return f"/v1/jobs/{job['id']}/exports"


def test_the_route_names_every_format():
    assert list(Name.__args__) == list(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
async def test_each_format_is_a_download_of_its_media_type(client, done, name):
    answer = await client.get(f"{done}/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(FORMATS[name].media_type)
    assert FORMATS[name].file_name in answer.headers["content-disposition"]
    assert answer.text


async def test_sci_takes_its_unit_and_embodied_emissions(client, done):
    answer = await client.get(f"{done}/sci?unit=epoch&embodied_g=5")
    assert answer.json()["functional_unit"] == "epoch"
    assert answer.json()["embodied"]["value"] == 5


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("sci?unit=mile", 422),
        ("sci?embodied_g=-1", 422),
        ("codecarbon?nothing=1", 422),
        ("codecarbon?pue=0.5", 422),
        ("nothing", 404),
    ],
)
async def test_what_cannot_be_is_refused(client, done, path, status):
    answer = await client.get(f"{done}/{path}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_job_that_is_not_final_has_none(client, submitted):
    job = await submitted()
    answer = await client.get(f"/v1/jobs/{job['id']}/exports/statement")
    assert (answer.status_code, answer.json()["job_status"]) == (409, "queued")
