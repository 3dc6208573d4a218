"""The routes of the catalogue and of hosts."""

from app.api.routes.views import HostsView, WorkloadsView


async def test_workloads_are_the_catalogue(client):
    answer = await client.get("/v1/workloads")
    listing = WorkloadsView.model_validate_json(answer.content)
    cnn = next(found for found in listing.model_types if found.name == "cnn")
    assert cnn.sizes["base"].parameters == 225_034
    assert listing.model_dump(mode="json") == answer.json()


async def test_hosts(client, memory, a_host):
    assert (await client.get("/v1/hosts")).json() == {"items": []}
    memory.known_hosts = (a_host,)
    answer = await client.get("/v1/hosts")
    assert HostsView.model_validate_json(answer.content).items == [a_host]
