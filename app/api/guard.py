"""Around every request: its identifier, the names that we answer to, and errors nobody expected."""

import logging
import re
import time
import uuid
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import Kind, internal_error, problem
from app.api.validation import shown
from app.logs import about

logger = logging.getLogger(__name__)
access = logging.getLogger("app.api.access")

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
READS = frozenset({"GET", "HEAD", "OPTIONS"})
FIRST_ERROR = 400
JOB_PATH = re.compile(r"/v1/jobs/([A-Za-z0-9_-]{1,64})(?:/.*)?")
NO_SNIFF = (b"x-content-type-options", b"nosniff")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
FOREIGN_HOST = Kind(400, "foreign-host", "Not a name of this service")


class Guard:
    """ASGI middleware: gives each request an identifier and lets nothing out but clean answers.

    Every record that is logged meanwhile carries the identifier, and one tells of the request.

    A page of a foreign site can make its own name resolve to 127.0.0.1 (DNS rebinding) and so read
    a service without keys; its requests carry that name in `Host`, and are refused.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None) -> None:
        """Answer to these host names, on any port; null: to all."""
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get("x-request-id", ""))
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id)
        job = JOB_PATH.fullmatch(scope["path"])
        began_s = time.perf_counter()
        with about(request_id=request_id, job_id=job and job[1]):
            try:
                await self._answer(scope, receive, answer)
            finally:
                _log(scope, answer.status, time.perf_counter() - began_s)

    async def _answer(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        headers = Headers(scope=scope)
        if not self._known(headers.getlist("host")):
            detail = f"This service does not answer to the name {shown(headers.get('host'))}."
            await problem(answer.request_id, FOREIGN_HOST, detail)(scope, receive, answer)
            return
        await self._serve(scope, receive, answer)

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        try:
            await self._app(scope, receive, answer)
        except ClientDisconnect:
            logger.info("request %s: its client went away", answer.request_id)
        except Exception:
            logger.exception("request %s: %s %r", answer.request_id, scope["method"], scope["path"])
            if answer.started:
                raise  # nothing can be said any more: the server closes the connection
            await internal_error(answer.request_id)(scope, receive, answer)

    def _known(self, names: list[str]) -> bool:
        if self._hosts is None:
            return True
        return len(names) == 1 and re.sub(r":\d+$", "", names[0].lower()) in self._hosts


class _Answer:
    """The way out of one request: puts the identifier on it and knows whether it has begun."""

    def __init__(self, send: Send, request_id: str) -> None:
        self.started = False
        self.status: int | None = None
        self.request_id = request_id
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            given = (b"x-request-id", self.request_id.encode())
            message["headers"] = [*message.get("headers", ()), given, NO_SNIFF]
        await self._send(message)


def _log(scope: Scope, status: int | None, duration_s: float) -> None:
    """One record of a request, without its query, which may hold a key."""
    quiet = scope["method"] in READS and status is not None and status < FIRST_ERROR
    duration_ms = round(duration_s * 1000, 1)
    what = {"method": scope["method"], "path": scope["path"], "status": status}
    access.log(
        logging.DEBUG if quiet else logging.INFO,
        "%s %s: %s after %.1f ms",
        scope["method"],
        scope["path"],
        status or "no answer",
        duration_ms,
        extra={**what, "duration_ms": duration_ms},
    )


def _request_id(given: str) -> str:
    return given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
