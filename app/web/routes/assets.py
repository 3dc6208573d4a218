"""The style sheet, the script and the icon."""

from fastapi import APIRouter
from starlette.responses import Response

from app.domain.errors import NotFoundError
from app.web.pages import asset

TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

router = APIRouter()


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """A file; its address changes with the version, so that it may be kept."""
    body = asset(name)
    if body is None:
        raise NotFoundError("There is no such file.")
    media = TYPES[name.rpartition(".")[2]]
    return Response(body, media_type=media, headers={"Cache-Control": "max-age=3600"})
