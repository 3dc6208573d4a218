"""One owner of a data directory: a locked file that says which process and where it serves."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.domain.errors import UsageError
from app.locks import try_lock

LOCK_FILE = "service.lock"


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The running service that a data directory belongs to."""

    pid: int
    url: str


@contextlib.contextmanager
def own(data_dir: Path, url: str) -> Iterator[None]:
    """Own the data directory: made if needed, and locked until the end, however that comes.

    Raises:
        UsageError: it cannot be written, is full, or has an owner already.
    """
    descriptor = _open(data_dir)
    try:
        if not try_lock(descriptor):
            raise occupied(data_dir, _read(data_dir / LOCK_FILE))
        _write(data_dir, descriptor, url)
        yield
    finally:
        os.close(descriptor)


def owner(data_dir: Path) -> Owner | None:
    """The running service that owns a data directory; null where nobody does.

    Raises:
        UsageError: the lock file cannot be read.
    """
    path = data_dir / LOCK_FILE
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unusable(data_dir, error) from error
    try:
        return None if try_lock(descriptor) else _read(path)
    finally:
        os.close(descriptor)


def occupied(data_dir: Path, here: Owner) -> UsageError:
    """The sentence for whoever comes second."""
    return UsageError(
        f"the data directory {data_dir} belongs to a running service (process {here.pid}, "
        f"{here.url}): use that one, stop it, or choose another with --data-dir or "
        "TRAINWATT_DATA_DIR"
    )


def _open(data_dir: Path) -> int:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(data_dir, error) from error


def _write(data_dir: Path, descriptor: int, url: str) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "url": url}).encode(), 0)
    except OSError as error:
        raise _unusable(data_dir, error) from error


def _read(path: Path) -> Owner:
    """What the owner wrote; it writes within moments of taking the lock."""
    for _ in range(10):
        with contextlib.suppress(ValueError):
            return Owner(**json.loads(path.read_text()))
        time.sleep(0.1)
    raise UsageError(f"{path} is locked by a process that did not say who it is: end that first")


def _unusable(data_dir: Path, error: OSError) -> UsageError:
    return UsageError(
        f"the data directory {data_dir} cannot be used ({error.strerror}): choose another with "
        "--data-dir or TRAINWATT_DATA_DIR"
    )
