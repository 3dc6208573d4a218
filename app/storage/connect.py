"""Connections to a database given as a libpq URL, and the sentences for when there is none."""

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from app.domain.errors import FullError, UnavailableError, UsageError

CONNECT_TIMEOUT_S = 10

# A peer that vanished without a word is noticed after 10 + 3 × 5 s. No effect on a unix socket.
KEEPALIVES = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}


def parameters(url: str) -> dict[str, Any]:
    """The connection's parameters, ours where the URL does not say.

    Raises:
        UsageError: it is no libpq URL; the sentence does not repeat it, for it may hold a password.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise UsageError(
            "expected a database URL like postgresql://USER:PASSWORD@HOST:5432/DATABASE, received "
            "one that libpq does not understand: correct TRAINWATT_DATABASE_URL"
        ) from None
    return {"connect_timeout": CONNECT_TIMEOUT_S, **KEEPALIVES, **given}


def unavailable(url: str, error: BaseException) -> UnavailableError:
    """The sentence for a database that does not answer or is full; never with the password."""
    given = parameters(url)
    host, port = given.get("host") or "localhost", given.get("port") or 5432
    reason = str(error).strip().splitlines() or [type(error).__name__]
    full = isinstance(error, psycopg.errors.DiskFull)
    text = reason[0 if full else -1].strip()  # a hint follows, or the address that was tried
    if given.get("password"):
        text = text.replace(str(given["password"]), "***")
    if full:
        return FullError(
            f"the disk of the database at {host}:{port} is full ({text}): free some space"
        )
    return UnavailableError(
        f"the database {given.get('dbname') or ''!r} at {host}:{port} does not answer ({text}): "
        "start it, or correct TRAINWATT_DATABASE_URL"
    )


async def connect(url: str, *, autocommit: bool = False) -> psycopg.AsyncConnection[Any]:
    """A connection of its own.

    Raises:
        UsageError: it is no libpq URL.
        UnavailableError: the database does not answer.
    """
    try:
        return await psycopg.AsyncConnection.connect(**parameters(url), autocommit=autocommit)
    except psycopg.OperationalError as error:
        raise unavailable(url, error) from error


def connect_sync(url: str) -> psycopg.Connection[Any]:
    """As `connect`, for code that does not run on an event loop."""
    try:
        return psycopg.connect(**parameters(url))
    except psycopg.OperationalError as error:
        raise unavailable(url, error) from error
