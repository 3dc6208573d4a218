"""Data sets of users: their facts, and their files in chunks of a megabyte."""

import json
from collections.abc import AsyncIterator
from typing import Any, BinaryIO

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.datasets import UploadedDataset
from app.domain.errors import NameTakenError, NotFoundError, StateError
from app.domain.jobs import JobStatus
from app.storage.database import Database
from app.storage.rows import storable, utc
from app.storage.tables import dataset_parts, datasets, jobs

PART_BYTES = 2**20
ADDING = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('trainwatt add data set', 0))")
UNFINISHED = (JobStatus.RUNNING.value, JobStatus.QUEUED.value)


class NoPlaceError(Exception):
    """All data sets together would be longer than they may be; the text says what to do."""


class DatasetRecords(Database):
    """The data sets of users. A name keeps its bytes until it is deleted."""

    async def add_dataset(
        self, dataset: UploadedDataset, file: BinaryIO, *, max_total_bytes: int
    ) -> tuple[UploadedDataset, bool]:
        """Keep a data set with its file, read from where it stands, in one transaction.

        Args:
            dataset: its facts.
            file: its bytes.
            max_total_bytes: of the files of all data sets, this one among them.

        Returns:
            The data set as it is kept, and whether it is new; it is not where the same bytes are
            kept under its name already.

        Raises:
            NameTakenError: its name stands for other bytes.
            NoPlaceError: all files together would be longer than they may be.
        """
        async with self.transaction() as connection:
            await connection.execute(ADDING)  # who adds at the same time is not seen in the sum
            made = await connection.scalar(_insert(dataset))
            if made is not None:
                await _check_total(connection, dataset, max_total_bytes)
                await _write(connection, dataset.name, file)
            kept = await _fetch(connection, datasets.c.name == dataset.name)
            if kept is None or kept.sha256 != dataset.sha256:
                raise NameTakenError(
                    f"The name {dataset.name!r} stands for other data: take another one, or "
                    "delete that data set first."
                )
            return kept, made is not None

    async def find_dataset(self, name: str) -> UploadedDataset | None:
        """The data set of a name; null where there is none."""
        if not storable(name):
            return None
        async with self.transaction() as connection:
            return await _fetch(connection, datasets.c.name == name)

    async def datasets(self) -> tuple[UploadedDataset, ...]:
        """Every data set, by name."""
        async with self.transaction() as connection:
            rows = (await connection.execute(sa.select(datasets).order_by(datasets.c.name))).all()
        return tuple(map(_dataset, rows))

    async def delete_dataset(self, name: str) -> None:
        """Forget a data set and its file.

        Raises:
            NotFoundError: there is none of this name.
            StateError: a job that is not final asks for it.
        """
        missing = NotFoundError(f"There is no data set {name!r} of a user's.")
        if not storable(name):
            raise missing
        async with self.transaction() as connection:
            this = datasets.c.name == name
            if (
                await connection.scalar(sa.delete(datasets).where(this).returning(sa.true()))
                is None
            ):
                raise missing
            if user := (await connection.execute(_asking(name))).first():
                raise StateError(
                    f"The data set {name!r} is asked for by job {user.id}, which is {user.status}: "
                    "cancel that job, or wait for its end.",
                    status=user.status,
                )

    async def dataset_parts(self, sha256: str) -> AsyncIterator[bytes]:
        """The file with this hash, chunk by chunk; nothing where no data set has it.

        No connection is held between two chunks.
        """
        number = 0
        while (part := await self._part(sha256, number)) is not None:
            yield part
            number += 1

    async def _part(self, sha256: str, number: int) -> bytes | None:
        wanted = (datasets.c.sha256 == sha256, dataset_parts.c.number == number)
        query = sa.select(dataset_parts.c.bytes).join(datasets).where(*wanted).limit(1)
        async with self.transaction() as connection:
            part = await connection.scalar(query)
        return None if part is None else bytes(part)


def _insert(dataset: UploadedDataset) -> sa.Insert | sa.sql.dml.ReturningInsert[tuple[str]]:
    return (
        insert(datasets)
        .values(
            name=dataset.name,
            sha256=dataset.sha256,
            body=dataset.model_dump_json(exclude={"created_at"}),
            created_at=dataset.created_at,
        )
        .on_conflict_do_nothing()
        .returning(datasets.c.name)
    )


async def _check_total(
    connection: AsyncConnection, dataset: UploadedDataset, max_bytes: int
) -> None:
    size_bytes = sa.cast(datasets.c.body.op("->>")("size_bytes"), sa.BigInteger)
    total_bytes = int(await connection.scalar(sa.select(sa.func.sum(size_bytes))) or 0)
    if total_bytes > max_bytes:
        raise NoPlaceError(
            f"The data sets of users may have {max_bytes:,} bytes together; "
            f"{total_bytes - dataset.size_bytes:,} are kept, and this one has "
            f"{dataset.size_bytes:,}: delete one first, or raise TRAINWATT_MAX_DATASETS_TOTAL_MIB."
        )


async def _write(connection: AsyncConnection, name: str, file: BinaryIO) -> None:
    number = 0
    while chunk := file.read(PART_BYTES):
        part = {"name": name, "number": number, "bytes": chunk}
        await connection.execute(dataset_parts.insert().values(part))
        number += 1


async def _fetch(
    connection: AsyncConnection, which: sa.ColumnElement[bool]
) -> UploadedDataset | None:
    row = (await connection.execute(sa.select(datasets).where(which))).one_or_none()
    return None if row is None else _dataset(row)


def _dataset(row: sa.Row[Any]) -> UploadedDataset:
    return UploadedDataset.model_validate(
        {**json.loads(row.body), "created_at": utc(row.created_at)}
    )


def _asking(name: str) -> sa.Select[Any]:
    """Jobs that are not final and name this data set."""
    asked = jobs.c.spec.op("->")("dataset").op("->>")("name")
    return (
        sa.select(jobs.c.id, jobs.c.status)
        .where(jobs.c.status.in_(UNFINISHED), asked == name)
        .limit(1)
    )
