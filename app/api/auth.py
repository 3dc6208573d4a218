"""Who may ask: a key in `Authorization: Bearer` or in a cookie, compared in constant time.

Without a key the service answers on loopback alone: a connection that arrived on another address
is refused, however the server was started.
"""

import ipaddress
import secrets
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import Kind, problem

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
API_PREFIX = "/v1/"
COOKIE = "trainwatt_key"
PARAMETER = "key"
NO_KEY = Kind(401, "key-needed", "A key is needed")
WRONG_KEY = Kind(401, "key-refused", "The key is not right")
UNPROTECTED = Kind(403, "no-key-set", "This service has no key")
HOW = "send it as `Authorization: Bearer KEY`; the service printed it when it started"


class Auth:
    """ASGI middleware around everything but `/healthz` and `/readyz`."""

    def __init__(self, app: ASGIApp, key: str | None) -> None:
        """Ask for this key; null: for none, on loopback alone."""
        self._app = app
        self._key = key.encode() if key is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or say what is missing."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        request_id = scope["state"]["request_id"]
        if self._key is None:
            if _arrived_on_loopback(scope):
                await self._app(scope, receive, send)
                return
            detail = "It answers on loopback alone: set TRAINWATT_API_KEY to serve a network."
            await problem(request_id, UNPROTECTED, detail)(scope, receive, send)
            return
        if (key := _page_key(scope)) is not None:
            await self._trade(key, scope, receive, send)
            return
        given = _bearer(scope) or _cookie(scope)
        if given is not None and self._right(given):
            await self._app(scope, receive, send)
            return
        await self._refuse(given, scope, receive, send)

    def _right(self, given: str) -> bool:
        return self._key is not None and secrets.compare_digest(given.encode(), self._key)

    async def _trade(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        """A page opened with the key in its address: the browser gets a cookie in its place."""
        if not self._right(key):
            await self._refuse(key, scope, receive, send)
            return
        answer = RedirectResponse(_without_key(scope), status_code=303)
        answer.set_cookie(COOKIE, key, httponly=True, samesite="strict", path="/")
        answer.headers["Referrer-Policy"] = "no-referrer"
        await answer(scope, receive, send)

    async def _refuse(self, given: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        kind, detail = (
            (NO_KEY, f"No key came: {HOW}.")
            if given is None
            else (
                WRONG_KEY,
                f"Another key came: {HOW}.",
            )
        )
        answer = problem(scope["state"]["request_id"], kind, detail)
        answer.headers["WWW-Authenticate"] = 'Bearer realm="trainwatt"'
        await answer(scope, receive, send)


def _arrived_on_loopback(scope: Scope) -> bool:
    """Whether the connection's own end is a loopback address, or no address at all."""
    return _is_loopback((scope.get("server") or ("", None))[0])


@lru_cache(maxsize=64)
def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True  # a unix socket, or no server: nothing that a network reaches


def _page_key(scope: Scope) -> str | None:
    """The key in the address of a page; calls of programs carry none there."""
    if scope["method"] != "GET" or scope["path"].startswith(API_PREFIX):
        return None
    return dict(_query(scope)).get(PARAMETER)


def _without_key(scope: Scope) -> str:
    rest = urlencode([(name, value) for name, value in _query(scope) if name != PARAMETER])
    path = str(scope["path"]).lstrip("/\\")  # never another host's address
    return f"/{path}?{rest}" if rest else f"/{path}"


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _bearer(scope: Scope) -> str | None:
    scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" and key.strip() else None


def _cookie(scope: Scope) -> str | None:
    """Read leniently: the browser sends the cookies of every program on this host along."""
    return cookie_parser(Headers(scope=scope).get("cookie", "")).get(COOKIE)
