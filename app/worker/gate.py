"""One measured job at a time on a host: a lock file that every worker of the host shares."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from app.domain.errors import UsageError
from app.locks import try_lock, unlock

POLL_S = 0.2


def _nothing() -> None:
    """Wait without a word."""


@asynccontextmanager
async def host_gate(path: Path, on_wait: Callable[[], None] = _nothing) -> AsyncIterator[None]:
    """Wait until no other worker of this host measures, and keep the host until the end.

    Args:
        path: the lock file.
        on_wait: called once where another one measures.

    Raises:
        UsageError: the lock file cannot be opened; the text says what to do.
    """
    descriptor = _open(path)
    try:
        for pause_s in _pauses(descriptor, on_wait):
            await asyncio.sleep(pause_s)
        yield
    finally:
        _give_way(descriptor)


@contextmanager
def host_taken(path: Path, on_wait: Callable[[], None] = _nothing) -> Iterator[None]:
    """The same for a program that has no event loop; arguments and errors as `host_gate`."""
    descriptor = _open(path)
    try:
        for pause_s in _pauses(descriptor, on_wait):
            time.sleep(pause_s)
        yield
    finally:
        _give_way(descriptor)


def _pauses(descriptor: int, on_wait: Callable[[], None]) -> Iterator[float]:
    """Seconds to wait, one pause after the other, until the lock is ours."""
    yield max(0.0, _may_take_again_s - time.monotonic())
    if not try_lock(descriptor):
        on_wait()
        while not try_lock(descriptor):
            yield POLL_S


_may_take_again_s = 0.0  # of the monotonic clock: who waits looks every `POLL_S` seconds


def _give_way(descriptor: int) -> None:
    """Release the lock, and let a worker that waits for it have it next."""
    global _may_take_again_s  # noqa: PLW0603 -- one process has one gate
    unlock(descriptor)
    os.close(descriptor)
    _may_take_again_s = time.monotonic() + 1.5 * POLL_S


def is_free(path: Path) -> bool:
    """Whether no worker of this host measures now, as far as the lock file tells.

    Raises:
        UsageError: the lock file cannot be opened; the text says what to do.
    """
    descriptor = _open(path)
    try:
        return try_lock(descriptor)
    finally:
        os.close(descriptor)


def check_gate(path: Path) -> None:
    """See that the lock file can be opened, before any job needs it.

    Raises:
        UsageError: it cannot; the text says what to do.
    """
    os.close(_open(path))


def _open(path: Path) -> int:
    """The file of whoever came first; a lock needs no right to write."""
    try:
        if not path.exists():
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.fchmod(descriptor, 0o644)  # whatever the umask: every user of the host reads it
            return descriptor
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(
            f"the lock file {path} cannot be opened ({error.strerror}); "
            "set TRAINWATT_HOST_LOCK to a path that every worker of this host can read"
        ) from error
