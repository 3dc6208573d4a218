"""One measured job at a time on a host: a lock file that every worker of the host shares."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.domain.errors import UsageError

POLL_S = 0.2


@asynccontextmanager
async def host_gate(path: Path) -> AsyncIterator[None]:
    """Wait until no other worker of this host measures, and keep the host until the end.

    Raises:
        UsageError: the lock file cannot be opened; the text says what to do.
    """
    descriptor = _open(path)
    try:
        while not _try_lock(descriptor):
            await asyncio.sleep(POLL_S)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """The file of whoever came first; a lock needs no right to write."""
    try:
        if not path.exists():
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(
            f"the lock file {path} cannot be opened ({error.strerror}); "
            "set TRAINWATT_HOST_LOCK to a path that every worker of this host can read"
        ) from error


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
