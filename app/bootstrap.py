"""The one place where the parts are wired together: which database, which service, which app."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from app import logs, reference
from app.domain.errors import TrainwattError, UsageError
from app.keys import needed_key
from app.ownership import own
from app.settings import Settings, load
from app.storage.embedded import EmbeddedPostgres
from app.storage.migrate import migrate
from app.storage.store import Store

if TYPE_CHECKING:
    from fastapi import FastAPI


def make_api(settings: Settings, *, log_as: str | None = None) -> "FastAPI":
    """The ASGI app on the database that the settings name; its lifespan opens everything.

    Args:
        settings: where the data are.
        log_as: the name of the process in the logs, where no entry of ours has set them up.
    """
    from app.api.app import create_app  # the worker imports this module, and no web framework
    from app.service import Service
    from app.web.site import add_pages
    from app.workloads import catalogue

    reference.check_default(settings.country_iso_code, settings.region)

    @asynccontextmanager
    async def open_service() -> AsyncIterator[Service]:
        if log_as is not None:
            logs.configure(log_as, settings)
        catalogue.families()  # now, so that the log tells at the start which cannot be loaded
        async with database(settings) as url:
            await asyncio.to_thread(migrate, url)
            store = await Store.open(url)
            try:
                yield Service(store, settings)
            finally:
                await store.close()

    app = create_app(open_service, key=needed_key(settings))
    add_pages(app)
    return app


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """A database as a libpq URL: the given one, or an embedded one that lives as long as this.

    Raises:
        UsageError: the data directory cannot be written, or belongs to a running service.
        UnavailableError: the embedded database does not start.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    with own(settings.data_dir, settings.url):
        embedded = EmbeddedPostgres(settings.data_dir)
        embedded.start()  # in this thread: the server's death signal is bound to who starts it
        try:
            yield embedded.url
        finally:
            embedded.stop()


def run_worker() -> int:
    """One worker on the database that the environment names, until a signal; the exit code."""
    from app.worker import loop

    try:
        settings = load()
        logs.configure("worker", settings)
        reference.check_default(settings.country_iso_code, settings.region)
        url = settings.given_database_url()
        migrate(url)
        loop.main(settings, url)
    except UsageError as error:
        return _said(error, 2)
    except TrainwattError as error:
        return _said(error, 3)
    return 0


def _said(error: TrainwattError, code: int) -> int:
    print(f"trainwatt worker: {error}", file=sys.stderr)  # noqa: T201
    return code
