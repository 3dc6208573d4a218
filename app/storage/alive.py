"""Whether a host's worker lives, asked without the rest of the store: a health check asks often."""

from datetime import UTC, datetime

import psycopg

from app.domain.hosts import Host, worker_trouble
from app.storage.connect import connect_sync, unavailable


def trouble(url: str, name: str, *, lease_s: float) -> str | None:
    """Why the worker of the host `name` is not counted on, in a sentence; null where it is.

    Raises:
        UsageError: it is no libpq URL.
        UnavailableError: the database does not answer.
    """
    try:
        with connect_sync(url) as connection:
            rows = connection.execute("SELECT body::text, last_seen FROM hosts").fetchall()
    except psycopg.errors.UndefinedTable:
        return "No worker has worked on this database yet."
    except psycopg.Error as error:
        raise unavailable(url, error) from error
    hosts = [
        Host.model_validate_json(body).model_copy(update={"last_seen": last_seen})
        for body, last_seen in rows
    ]
    return worker_trouble(hosts, name, now=datetime.now(UTC), lease_s=lease_s)
