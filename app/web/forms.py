"""What a browser sends: forms as text, and nothing that another site's page has made it send."""

from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.api.routes.requests import MAX_BODY_BYTES

FORM = "application/x-www-form-urlencoded"
OURS = frozenset({"same-origin", "none"})


async def form(request: Request) -> dict[str, str]:
    """The fields of a form that one of our own pages sent, without those left empty.

    Raises:
        HTTPException: it comes from another site's page (403), is no form (415) or too long (413).
    """
    refuse_foreign(request.headers)
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != FORM:
        raise HTTPException(415, f"Send the form as {FORM}.")
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY_BYTES:
            raise HTTPException(413, f"The form is longer than {MAX_BODY_BYTES} bytes (1 MiB).")
    return filled(parse_qsl(received.decode("utf-8", "replace")))


def filled(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """The fields that were filled in; of one that comes twice the last."""
    return {name: value.strip() for name, value in pairs if value.strip()}


def refuse_foreign(headers: Headers) -> None:
    """Refuse what a page of another origin made the browser send (cross-site request forgery).

    Every current browser says so in `Sec-Fetch-Site` on https and loopback, an older one, and any
    on plain http, in `Origin`. A program that sends neither is no browser, and is not misled.

    Raises:
        HTTPException: it is from another origin (403).
    """
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is not None:
        ours = site in OURS
    else:
        ours = origin is None or urlsplit(origin).netloc == headers.get("host")
    if not ours:
        raise HTTPException(403, "This form was sent by a page of another site.")
