"""The app factory: routes, errors and documentation around a service that the lifespan opens."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI

from app import __version__
from app.api import docs, routes
from app.api.auth import Auth
from app.api.guard import LOOPBACK_NAMES, Guard
from app.api.metrics import Metered, Metrics
from app.api.problems import add_handlers
from app.api.routes.reports import StoredReport
from app.api.stopping import Stopping
from app.service import Service

DESCRIPTION = """Submit a training, and get what it cost in energy, with an interval and how sure
that figure is. Errors are `application/problem+json` (RFC 9457). Every answer carries the
identifier of its request in `X-Request-ID`."""


def create_app(
    open_service: Callable[[], AbstractAsyncContextManager[Service]],
    *,
    key: str | None = None,
) -> FastAPI:
    """The ASGI app; nothing is opened until its lifespan begins.

    Args:
        open_service: a context manager that gives the service and closes it in the end.
        key: the key that every request must carry. Null: none is asked for, and only connections
            and host names of loopback are answered.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_service() as service:
            app.state.stopping = Stopping()
            app.state.service = service
            with app.state.stopping.on_signals():
                yield
            app.state.service = None

    app = FastAPI(
        title="trainwatt",
        version=__version__,
        summary="What a training run costs in energy, with an interval, and how sure that is.",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.keyed = key is not None
    app.add_middleware(Auth, key=key)
    app.add_middleware(Guard, hosts=LOOPBACK_NAMES if key is None else None)
    app.state.metrics = Metrics()
    app.add_middleware(Metered, metrics=app.state.metrics)  # the outermost one
    add_handlers(app)
    app.router.routes.append(StoredReport())  # the first one
    app.include_router(routes.router)
    app.include_router(docs.router)
    docs.describe(app)
    return app
