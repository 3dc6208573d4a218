"""`trainwatt api`: the ASGI app under uvicorn, its failed start as the error that caused it."""

import socket
from typing import Any

import uvicorn

from app.domain.errors import TrainwattError

STOP_S = 2  # what open event streams are given at the end


def run(app: Any, listener: socket.socket) -> None:
    """Answer on this socket until SIGTERM or SIGINT.

    Raises:
        TrainwattError: what kept the app from starting.
    """
    guarded = StartGuard(app)
    config = uvicorn.Config(
        guarded,
        lifespan="on",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=STOP_S,
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except SystemExit:
        if guarded.failure:
            raise guarded.failure from None
        raise


class StartGuard:
    """An ASGI app that keeps the error of a failed start: the server would log it and exit."""

    def __init__(self, app: Any) -> None:
        """Wrap an app."""
        self._app = app
        self.failure: TrainwattError | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass everything on, but the traceback of an error that was raised on purpose."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        held: list[Any] = []

        async def hold_failure(message: Any) -> None:
            if message["type"] == "lifespan.startup.failed":
                held.append(message)
            else:
                await send(message)

        try:
            await self._app(scope, receive, hold_failure)
        except TrainwattError as error:
            self.failure = error
            await send({"type": "lifespan.startup.failed", "message": str(error)})
        except Exception:
            for message in held:
                await send(message)
            raise
