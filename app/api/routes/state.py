"""Whether the service lives, is ready, and what it counts."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from app.api import docs
from app.api.metrics import MEDIA_TYPE, Metrics
from app.api.problems import KINDS, problem
from app.api.routes.requests import NoQueryHere, Serving
from app.api.routes.views import StateView
from app.domain.errors import UnavailableError

router = APIRouter(tags=["state"])


@router.get(
    "/healthz",
    operation_id="healthz",
    response_model=StateView,
    responses=docs.problems(),
    dependencies=[NoQueryHere],
)
async def healthz() -> dict[str, Any]:
    """That this process lives; nothing else is asked."""
    return {"status": "ok"}


@router.get(
    "/readyz",
    operation_id="readyz",
    response_model=StateView,
    responses=docs.problems(503),
    dependencies=[NoQueryHere],
)
async def readyz(request: Request, service: Serving) -> Response:
    """That jobs can be served; a 503 names in `reasons` what is not ready."""
    if reasons := await service.unready():
        detail = " ".join(reasons)
        kind = KINDS[UnavailableError]
        return problem(request.state.request_id, kind, detail, reasons=list(reasons))
    return JSONResponse({"status": "ready"})


@router.get(
    "/metrics",
    operation_id="metrics",
    response_class=PlainTextResponse,
    responses=docs.problems(503),
    dependencies=[NoQueryHere],
)
async def metrics(request: Request, service: Serving) -> Response:
    """Jobs, joules, hosts, requests and this process, for Prometheus."""
    counted: Metrics = request.app.state.metrics
    return Response(counted.text(await service.figures()), headers={"Content-Type": MEDIA_TYPE})
