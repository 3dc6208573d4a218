"""Brings a database to the schema of this code; safe when many processes do so at once."""

from typing import TYPE_CHECKING, Any

import psycopg
import sqlalchemy as sa

from app.domain.errors import UsageError
from app.storage.connect import connect_sync, unavailable

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

HEAD = "0005"  # the newest revision; a test holds that the scripts agree
LOCK = 7_236_451_908_112_001  # any number that is ours alone among the database's advisory locks


def migrate(url: str) -> None:
    """Run what is missing, under a lock; where nothing is, this is one short query.

    Raises:
        UsageError: it is no libpq URL, or the database is newer than this code.
        UnavailableError: the database does not answer.
    """
    try:
        with connect_sync(url) as connection:
            if _version(connection) == HEAD:
                return
        _upgrade(url)
    except (psycopg.OperationalError, sa.exc.OperationalError) as error:
        raise unavailable(url, getattr(error, "orig", None) or error) from error


def _version(connection: psycopg.Connection[Any]) -> str | None:
    """The revision that the database has; null for an empty one."""
    there = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
    if there is None or there[0] is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


def _upgrade(url: str) -> None:
    from alembic import command  # 0.2 s of imports that most starts do not need
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    engine = sa.create_engine(
        "postgresql+psycopg://", creator=lambda: connect_sync(url), poolclass=sa.NullPool
    )
    with engine.connect() as connection:  # closing it gives the lock back
        connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
        connection.commit()
        config = alembic_config()
        config.attributes["connection"] = connection
        version = MigrationContext.configure(connection).get_current_revision()
        _refuse_newer(version, ScriptDirectory.from_config(config))
        connection.commit()
        command.upgrade(config, "head")
        connection.commit()


def _refuse_newer(version: str | None, scripts: "ScriptDirectory") -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    if version is not None and version not in known:
        raise UsageError(
            f"the database has schema {version} and this trainwatt knows up to {HEAD}: install "
            "the newer trainwatt that made it, or name another database"
        )


def alembic_config() -> "Config":
    """Alembic's configuration, without a file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "app.storage:migrations")
    config.set_main_option("path_separator", "os")
    return config
