"""Errors for a person: a browser that asks for a page gets one where a program gets a problem."""

import json
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.accept import preferred
from app.api.problems import MEDIA_TYPE
from app.web.pages import page

PROGRAMS = ("/v1/", "/openapi.json", "/metrics", "/healthz", "/readyz")
HTML = "text/html"
KEPT = (b"retry-after", b"www-authenticate", b"allow", b"x-request-id")


class ErrorPages:
    """ASGI middleware: answers of problems become pages where a browser asked for a page."""

    def __init__(self, app: ASGIApp) -> None:
        """Around this app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not _wants_page(scope):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Page(scope, receive, send))


def _wants_page(scope: Scope) -> bool:
    if scope["path"].startswith(PROGRAMS):
        return False
    return preferred(Request(scope), (MEDIA_TYPE, HTML)) == HTML


class _Page:
    """The way out of one request: gathers a problem, lets everything else pass."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_problem(message):
            self._start = message
            return
        if self._start is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            await self._answer(self._start, json.loads(self._body))

    async def _answer(self, start: Message, problem: dict[str, Any]) -> None:
        known = {"errors": [], "reasons": [], **problem}
        status = start["status"]
        made = page("error", status=status, problem=known, code=status, here="")
        made.raw_headers += [pair for pair in start["headers"] if pair[0] in KEPT]
        await made(self._scope, self._receive, self._send)


def _is_problem(start: Message) -> bool:
    return any(
        name == b"content-type" and value.startswith(MEDIA_TYPE.encode())
        for name, value in start.get("headers", ())
    )
