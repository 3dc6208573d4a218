"""The file of a user's data set, brought to the worker's host before a training begins."""

import asyncio
import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from app.domain.errors import TrainingError
from app.domain.specs import JobSpec
from app.storage.store import Store

logger = logging.getLogger(__name__)

FILE = re.compile(r"[0-9a-f]{64}\.npz")


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
    longer than the cache may be, the longest unused first.

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
        await _have(store, spec.dataset.name, known.sha256, path, stop)
        if path.exists():
            os.utime(path)
            _drop(cache_dir, path, max_bytes)
    except OSError as error:
        raise TrainingError(
            f"the data set {spec.dataset.name!r} cannot be kept in the data directory of the "
            f"worker ({error.strerror}): free some space there and submit the job again",
            code="dataset_unkept",
        ) from error


async def _have(store: Store, name: str, sha256: str, path: Path, stop: Callable[[], bool]) -> None:
    if not await asyncio.to_thread(_is_whole, path, sha256):
        await _download(store, name, sha256, path, stop)


async def _download(
    store: Store, name: str, sha256: str, path: Path, stop: Callable[[], bool]
) -> None:
    """Write the file and, when it is whole, put it in its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
        try:
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
    if not path.exists():
        return False
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() == sha256:
            return True
    logger.warning("the cache file %s is broken and is fetched again", path)
    return False


def _drop(cache_dir: Path, used: Path, max_bytes: int) -> None:
    """Delete the longest unused files of users' data sets until the others fit."""
    files = [path for path in cache_dir.glob("*.npz") if FILE.fullmatch(path.name)]
    newest_first = sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)
    total = used.stat().st_size
    for path in newest_first:
        if path == used:
            continue
        total += path.stat().st_size
        if total > max_bytes:
            path.unlink(missing_ok=True)
