"""The hosts: how each measures, and what would make it better."""

from fastapi import APIRouter
from starlette.responses import Response

from app.api.routes.requests import Serving
from app.web.pages import page
from app.words.hosts import advice

router = APIRouter()


@router.get("/hosts")
async def hosts(service: Serving) -> Response:
    """Each with its sensors."""
    known = await service.hosts()
    return page(
        "hosts",
        here="/hosts",
        hosts=[(host, service.trouble(host), list(advice(host))) for host in known],
    )
