"""Logs: records as lines on stderr, and as JSON in a rotated file of each process."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from app.domain.errors import UsageError
from app.settings import Settings

MAX_BYTES = 10_000_000  # of one file
KEPT_FILES = 5  # beside the current one
# A line a plugin, a request or a task says nothing; a cancelled task says it in forty lines.
TALKATIVE = ("alembic", "httpx", "procrastinate")

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
_job_id: ContextVar[str | None] = ContextVar("job_id", default=None)


@contextmanager
def about(*, request_id: str | None = None, job_id: str | None = None) -> Iterator[None]:
    """Put these into every record that is logged while a block runs; null: as around it."""
    given = ((_request_id, request_id), (_job_id, job_id))
    tokens = [(variable, variable.set(value)) for variable, value in given if value is not None]
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)


class OneLine(logging.Formatter):
    """`2026-11-24T20:00:00.123Z INFO api app.api.guard: …`; a traceback stays on the line."""

    converter = staticmethod(time.gmtime)

    def __init__(self, process: str) -> None:
        """Name the process on every line."""
        super().__init__(
            f"%(asctime)s.%(msecs)03dZ %(levelname)s {process} %(name)s: %(message)s",
            datefmt="%Y-%m-%dT%H:%M:%S",
        )

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line: what is no printable character is escaped."""
        text = super().format(record)
        return text if text.isprintable() else "".join(map(_printable, text))


class JsonLine(JsonFormatter):
    """One JSON object a record: time, level, process, logger, message, and what else is known."""

    def __init__(self, process: str) -> None:
        """Name the process in every object."""
        super().__init__("%(message)s", reserved_attrs=[*RESERVED_ATTRS, "color_message"])
        self._process = process

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """The fields in their order; what is not known is left out."""
        return {name: value for name, value in log_data.items() if value is not None}

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Ours first, then those of the record's `extra`."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data |= {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": _request_id.get(),
            "job_id": _job_id.get(),
        }
        told = dict(message_dict)
        exception = told.pop("exc_info", None)
        super().add_fields(log_data, record, told | {"message": log_data["message"]})
        log_data["exception"] = exception


def configure(process: str, settings: Settings) -> None:
    """Send this process's logs to stderr and to `<log_dir>/<process>.log`, in place of any before.

    A part of `serve` writes to its file alone. What cannot be written, as on a full disk, is lost
    without a word: it neither ends the process nor floods its stderr.

    Raises:
        UsageError: the folder cannot be written.
    """
    file = settings.log_dir / f"{process}.log"
    try:
        settings.log_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        rotated = RotatingFileHandler(
            file, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8"
        )
    except OSError as error:
        raise UsageError(
            f"the log file {file} cannot be written ({error.strerror}): choose another data "
            "directory with --data-dir or TRAINWATT_DATA_DIR"
        ) from error
    rotated.setFormatter(JsonLine(process))
    handlers: list[logging.Handler] = [rotated]
    if not settings.supervised:  # else stderr is a file beside, for what is no record
        human = logging.StreamHandler(sys.stderr)
        human.setFormatter(OneLine(process))
        handlers.append(human)
    logging.raiseExceptions = False
    logging.basicConfig(level=settings.log_level, handlers=handlers, force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _printable(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]
