"""Logs: one line a record, to stderr and to a rotated file of each process."""

import logging
import sys
import time
from logging.handlers import RotatingFileHandler

from app.domain.errors import UsageError
from app.settings import Settings

MAX_BYTES = 10_000_000  # of one file
KEPT_FILES = 5  # beside the current one
TALKATIVE = ("alembic", "httpx")  # a line a plugin or a request says nothing


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


def configure(process: str, settings: Settings) -> None:
    """Send this process's logs to stderr and to `<log_dir>/<process>.log`, in place of any before.

    A part of `serve` writes to its file alone.

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
    handlers: list[logging.Handler] = [rotated]
    if not settings.supervised:  # else stderr is a file beside, for what is no record
        handlers.append(logging.StreamHandler(sys.stderr))
    for handler in handlers:
        handler.setFormatter(OneLine(process))
    logging.basicConfig(level=settings.log_level, handlers=handlers, force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


def _printable(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]
