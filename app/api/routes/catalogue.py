"""What can be trained, and where."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from app.api import docs
from app.api.routes.requests import NoQueryHere, Serving
from app.api.routes.views import HostsView, WorkloadsView

router = APIRouter(tags=["catalogue"])


@router.get(
    "/v1/workloads",
    operation_id="list_workloads",
    response_model=WorkloadsView,
    responses=docs.problems(503),
    dependencies=[NoQueryHere],
)
async def list_workloads(service: Serving) -> Response:
    """What can be trained: model types with sizes, parameters and FLOPs, and data sets.

    The data sets of users stand behind the built-in ones.
    """
    return JSONResponse(await service.workloads())


@router.get(
    "/v1/hosts",
    operation_id="list_hosts",
    response_model=HostsView,
    responses=docs.problems(503),
    dependencies=[NoQueryHere],
)
async def list_hosts(service: Serving) -> Response:
    """The workers' hosts: hardware, sensors, when they were last seen, what they run now."""
    hosts = await service.hosts()
    return JSONResponse({"items": [host.model_dump(mode="json") for host in hosts]})
