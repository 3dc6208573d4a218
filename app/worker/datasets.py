"""The file of a user's data set, brought to the worker's host before a training begins."""

import asyncio
import contextlib
import errno
import hashlib
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from app.domain.errors import TrainingError
from app.domain.specs import JobSpec
from app.locks import try_lock
from app.storage.store import Store

logger = logging.getLogger(__name__)

FILE = re.compile(r"[0-9a-f]{64}\.npz")
PREFIX, SUFFIX = "dataset-", ".tmp"  # of a file on its way, which its writer keeps locked
YOUNG_S = 10.0  # since it was written to: its writer may not have locked it yet
NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


async def fetch(
    store: Store,
    spec: JobSpec,
    cache_dir: Path,
    *,
    max_bytes: int,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Have the file of the spec's data set in the cache, if it is of a user's.

    A file that is there and has the right hash is kept. Others go where all of them together are
    longer than the cache may be, the longest unused first. What a killed worker left goes too.

    Args:
        store: where the file is.
        spec: what is to be trained.
        cache_dir: where data sets are kept between jobs.
        max_bytes: of all files of users' data sets together; that of this spec may be longer.
        stop: asked between two chunks; true leaves the file unfinished, and nothing behind.

    Raises:
        TrainingError: nobody has the data any more (code `dataset_gone`), or there is no room for
            them (code `dataset_unkept`).
        UnavailableError: the database does not answer.
    """
    known = spec.dataset.uploaded
    if known is None:
        return
    path = cache_dir / f"{known.sha256}.npz"
    try:
        _remove_unfinished(cache_dir)
        await _have(store, spec.dataset.name, known.sha256, path, stop)
        with contextlib.suppress(FileNotFoundError):  # it was to stop
            os.utime(path)
            _drop(cache_dir, path, max_bytes)
    except OSError as error:
        raise _unkept(spec.dataset.name, path, error) from error


def _unkept(name: str, path: Path, error: OSError) -> TrainingError:
    where = f"{path.parent.name}/{path.name}"
    cure = f"see that the worker can write {where} there, and that no folder lies in its place"
    if error.errno in NO_ROOM:
        cure = "free some space there"
    return TrainingError(
        f"the data set {name!r} cannot be kept in the data directory of the worker "
        f"({error.strerror}): {cure}, and submit the job again",
        code="dataset_unkept",
    )


def _remove_unfinished(cache_dir: Path) -> None:
    """Delete files on their way that nobody writes any more: their writer was killed."""
    for path in cache_dir.glob(f"{PREFIX}*{SUFFIX}"):
        # Another worker was faster, the file is another user's, or its system has no locks.
        with contextlib.suppress(OSError), path.open("rb") as file:
            if time.time() - path.stat().st_mtime > YOUNG_S and try_lock(file.fileno()):
                path.unlink()


async def _have(store: Store, name: str, sha256: str, path: Path, stop: Callable[[], bool]) -> None:
    if not await asyncio.to_thread(_is_whole, path, sha256):
        await _download(store, name, sha256, path, stop)


async def _download(
    store: Store, name: str, sha256: str, path: Path, stop: Callable[[], bool]
) -> None:
    """Write the file and, when it is whole, put it in its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=PREFIX, suffix=SUFFIX, delete=False
    ) as file:
        try:
            with contextlib.suppress(OSError):  # where there are no locks, nobody removes it
                try_lock(file.fileno())
            found = hashlib.sha256()
            async for part in store.dataset_parts(sha256):
                if stop():
                    break
                await asyncio.to_thread(_write, file, part, found)
            file.flush()
            os.fsync(file.fileno())
            if found.hexdigest() == sha256:
                Path(file.name).replace(path)
        finally:
            Path(file.name).unlink(missing_ok=True)
    if found.hexdigest() != sha256 and not stop():
        raise TrainingError(
            f"the data set {name!r} was deleted before the training began: upload it again and "
            "submit the job again",
            code="dataset_gone",
        )


def _write(
    file: "tempfile._TemporaryFileWrapper[bytes]", part: bytes, found: "hashlib._Hash"
) -> None:
    file.write(part)
    found.update(part)


def _is_whole(path: Path, sha256: str) -> bool:
    """Whether the file is there, byte for byte."""
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                return True
            why = "other bytes"
    except FileNotFoundError:
        return False
    except OSError as error:
        why = error.strerror or type(error).__name__
    logger.warning("the cache file %s is broken (%s) and is fetched again", path, why)
    return False


def _drop(cache_dir: Path, used: Path, max_bytes: int) -> None:
    """Delete the longest unused files of users' data sets until the others fit."""
    total = used.stat().st_size
    for _, size_bytes, path in sorted(_others(cache_dir, used), reverse=True):
        total += size_bytes
        if total > max_bytes:
            path.unlink(missing_ok=True)


def _others(cache_dir: Path, used: Path) -> Iterator[tuple[float, int, Path]]:
    """When each other file of users' data sets was last used, and its size in bytes."""
    for path in cache_dir.glob("*.npz"):
        if path != used and FILE.fullmatch(path.name):
            with contextlib.suppress(FileNotFoundError):  # another worker has just dropped it
                status = path.stat()
                yield status.st_mtime, status.st_size, path
