"""Data sets of users: taken in, listed, deleted, and filled into the specs that name them."""

import asyncio
import errno
import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from app.domain.datasets import UploadedDataset
from app.domain.errors import (
    FieldError,
    FullError,
    NotFoundError,
    QueueFullError,
    SpecError,
    UnavailableError,
)
from app.domain.specs import Dataset, JobSpec
from app.service.core import Core
from app.service.npz import Content, inspect
from app.settings import Settings
from app.storage.datasets import NoPlaceError
from app.workloads import catalogue, datasets
from app.workloads.datasets import DATASETS
from app.workloads.family import Family

if TYPE_CHECKING:
    from app.storage.store import Store

MAX_UPLOADS = 4  # that are received at once; each is a file on the disk of up to the limit
UPLOADS = "uploads"  # the folder of the data directory where they are received
BYTES_PER_MIB = 2**20
PIECE_BYTES = 2**20  # what is collected before it is written
MAX_NAMES = 20  # of data sets that a sentence lists
NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


class TooLongError(Exception):
    """An upload is longer than the settings allow; the text says what they allow."""


class Datasets(Core):
    """The data sets of users. Every method may raise UnavailableError."""

    def __init__(self, store: "Store", settings: Settings) -> None:
        """Nothing is being uploaded yet."""
        super().__init__(store, settings)
        self._receiving = 0
        self._looking = asyncio.Lock()

    @property
    def max_dataset_bytes(self) -> int:
        """The longest upload."""
        return self._settings.max_dataset_mib * BYTES_PER_MIB

    async def upload(self, name: str, chunks: AsyncIterator[bytes]) -> tuple[UploadedDataset, bool]:
        """Take in a data set; whether it is new, or was there under this name with these bytes.

        Args:
            name: what `dataset.name` of a spec will say.
            chunks: of an `.npz` file, as they come.

        Raises:
            SpecError: the name is of a built-in set, or the file holds no data set.
            TooLongError: it, or all data sets with it, are longer than the settings allow.
            QueueFullError: too many uploads are on their way.
            NameTakenError: the name stands for other bytes.
        """
        if name in DATASETS:
            expected = f"a name other than those built in, {', '.join(DATASETS)}"
            raise SpecError(FieldError(field="name", expected=expected, received=name))
        if self._receiving >= MAX_UPLOADS:
            raise QueueFullError(f"{MAX_UPLOADS} data sets are being uploaded: try again later")
        self._receiving += 1
        try:
            with _temporary(self._settings.data_dir / UPLOADS) as file:
                sha256 = await _receive(chunks, file, self.max_dataset_bytes)
                return await self._take(name, sha256, file)
        finally:
            self._receiving -= 1

    async def _take(self, name: str, sha256: str, file: BinaryIO) -> tuple[UploadedDataset, bool]:
        """Look a received file through, and keep it: one at a time, for it takes a core."""
        async with self._looking:
            found = await asyncio.to_thread(inspect, file, max_bytes=self.max_dataset_bytes)
            size_bytes = file.seek(0, 2)
            file.seek(0)
            made = _dataset(name, sha256, size_bytes, found)
            max_total_bytes = self._settings.max_datasets_total_mib * BYTES_PER_MIB
            try:
                return await self._store.add_dataset(made, file, max_total_bytes=max_total_bytes)
            except NoPlaceError as error:
                raise TooLongError(str(error)) from error

    async def datasets(self) -> tuple[UploadedDataset, ...]:
        """Every data set of a user's, by name."""
        return await self._store.datasets()

    async def dataset(self, name: str) -> UploadedDataset:
        """The data set of a user's of this name; NotFoundError where there is none."""
        found = await self._store.find_dataset(name)
        if found is None:
            raise NotFoundError(f"There is no data set {name!r} of a user's.")
        return found

    async def delete_dataset(self, name: str) -> None:
        """Forget a data set of a user's.

        Raises:
            NotFoundError: there is none of this name.
            StateError: a job that is not final asks for it.
        """
        await self._store.delete_dataset(name)

    async def workloads(self) -> dict[str, Any]:
        """What can be trained, as JSON, on data sets that are built in and on those of users."""
        listing, uploaded = catalogue.listing(), await self._store.datasets()
        for model in listing["model_types"]:
            family = catalogue.families()[model["name"]]
            model["datasets"] += [data.name for data in uploaded if _fits(family, data)]
        listing["datasets"] += map(_listed, uploaded)
        return listing

    async def _resolved(self, spec: JobSpec) -> JobSpec:
        """The spec with what is known of the user's data set that it names.

        Raises:
            SpecError: `dataset.uploaded` was given, and is not what is known.
        """
        name, given = spec.dataset.name, spec.dataset.uploaded
        if name in DATASETS:
            return spec
        found = await self._store.find_dataset(name)
        known = found.in_a_spec() if found else None
        if known and given and given != known:
            expected = "null, or what GET /v1/datasets says of it: the data are others by now"
            received = given.model_dump(mode="json")
            raise SpecError(
                FieldError(field="dataset.uploaded", expected=expected, received=received)
            )
        dataset = spec.dataset.model_copy(update={"uploaded": known})
        return spec.model_copy(update={"dataset": dataset})

    async def _with_names(self, errors: Iterable[FieldError]) -> list[FieldError]:
        """The errors, that of an unknown data set with the names of users' sets too."""
        return [
            error if error.field != "dataset.name" else await self._unknown(error)
            for error in errors
        ]

    async def _unknown(self, error: FieldError) -> FieldError:
        names = [*DATASETS, *(data.name for data in await self._store.datasets())]
        more = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
        expected = f"one of {', '.join(names[:MAX_NAMES])}{more}"
        return FieldError(field=error.field, expected=expected, received=error.received)


def too_long(max_bytes: int) -> TooLongError:
    """The error of an upload that is longer than the longest."""
    return TooLongError(f"The file is longer than {max_bytes // BYTES_PER_MIB} MiB.")


async def _receive(chunks: AsyncIterator[bytes], file: BinaryIO, max_bytes: int) -> str:
    """Write what comes to the file; the SHA-256 of all of it."""
    received, piece, sha256 = 0, bytearray(), hashlib.sha256()
    async for chunk in chunks:
        received += len(chunk)
        if received > max_bytes:
            raise too_long(max_bytes)
        piece += chunk
        if len(piece) >= PIECE_BYTES:
            await asyncio.to_thread(_keep, file, bytes(piece), sha256)
            piece.clear()
    await asyncio.to_thread(_keep, file, bytes(piece), sha256)
    return sha256.hexdigest()


def _keep(file: BinaryIO, piece: bytes, sha256: Any) -> None:
    sha256.update(piece)
    try:
        file.write(piece)
        file.flush()
    except OSError as error:
        raise _unkept(error) from error


def _temporary(folder: Path) -> BinaryIO:
    """A file without a name: it is gone with its process, however that ends."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cast(BinaryIO, tempfile.TemporaryFile(dir=folder))
    except OSError as error:
        raise _unkept(error) from error


def _unkept(error: OSError) -> UnavailableError:
    words = f"The upload cannot be kept on the disk of the service ({error.strerror})"
    if error.errno in NO_ROOM:
        return FullError(f"{words}: free some space.")
    return UnavailableError(f"{words}: set TRAINWATT_DATA_DIR to a folder that can be written.")


def _dataset(name: str, sha256: str, size_bytes: int, found: Content) -> UploadedDataset:
    scaled = " scaled to 0..1" if found.dtype == "uint8" else ""
    return UploadedDataset(
        name=name,
        title=f"{found.samples:,} samples of {found.dtype}{scaled}, uploaded",
        sha256=sha256,
        size_bytes=size_bytes,
        shape=found.shape,
        classes=found.classes,
        **asdict(found.split),
        created_at=datetime.now(UTC),
    )


def _fits(family: Family, data: UploadedDataset) -> bool:
    try:
        return family.input_shape(data.shape) is not None
    except SpecError:  # of a package that fails at this shape
        return False


def _listed(data: UploadedDataset) -> dict[str, Any]:
    """As the catalogue lists those that are built in."""
    dataset = Dataset(name=data.name, uploaded=data.in_a_spec())
    return catalogue.listed(datasets.facts(dataset)) | {"title": data.title}
