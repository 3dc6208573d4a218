"""Rows of the tables as the domain's values."""

import json
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import NotFoundError
from app.domain.external import EXTERNAL, ExternalTraining
from app.domain.jobs import Job, JobError, JobStatus, Progress, Stage
from app.domain.quotes import Quote
from app.domain.readings import Reading, Readings
from app.domain.specs import JobSpec
from app.storage.tables import jobs

LIST_BEGINS, LIST_ENDS = '"readings":[', "]}"  # in the JSON of readings, whose last field they are


def _position() -> sa.ColumnElement[int | None]:
    """The place of a waiting job in the queue, 1 being next; null for the others.

    Jobs with a label that it does not have wait for other workers, and are not counted.
    """
    other = jobs.alias("other")
    competes = sa.or_(other.c.label.is_(None), other.c.label == jobs.c.label)
    ahead = (
        sa.select(sa.func.count() + 1)
        .where(
            other.c.status == JobStatus.QUEUED.value,
            sa.or_(
                other.c.priority > jobs.c.priority,
                sa.and_(other.c.priority == jobs.c.priority, other.c.queue_id < jobs.c.queue_id),
            ),
            competes,
        )
        .correlate(jobs)
        .scalar_subquery()
    )
    return sa.case((jobs.c.status == JobStatus.QUEUED.value, ahead)).label("queue_position")


SELECT_JOB = sa.select(jobs, _position())


async def fetch_job(connection: AsyncConnection, job_id: str) -> Job:
    """A job as it is now.

    Raises:
        NotFoundError: there is none with this id.
    """
    missing = NotFoundError(f"there is no job {job_id!r}")
    if not storable(job_id):
        raise missing
    row = (await connection.execute(SELECT_JOB.where(jobs.c.id == job_id))).one_or_none()
    if row is None:
        raise missing
    return job_from(row)


def job_from(row: Any) -> Job:
    """A job from a row of `SELECT_JOB`."""
    external = row.model_type == EXTERNAL
    return Job(
        id=row.id,
        status=JobStatus(row.status),
        stage=Stage(row.stage) if row.stage else None,
        spec=None if external else JobSpec.model_validate_json(row.spec),
        spec_sha256=row.spec_sha256,
        progress=Progress.model_validate_json(row.progress) if row.progress else None,
        queue_position=row.queue_position,
        host=row.host,
        attempt=row.attempt,
        created_at=row.created_at.astimezone(UTC),
        started_at=utc(row.started_at),
        finished_at=utc(row.finished_at),
        error=JobError.model_validate_json(row.error) if row.error else None,
        variant=row.variant,
        block=row.block,
        quote=Quote.model_validate_json(row.quote) if row.quote else None,
        external=ExternalTraining.model_validate_json(row.spec) if external else None,
    )


def utc(moment: datetime | None) -> datetime | None:
    """A moment in UTC, whatever the session's time zone."""
    return moment.astimezone(UTC) if moment else None


def header_of(readings: Readings) -> str:
    """All of an attempt's readings but the readings themselves, as JSON."""
    return readings.model_copy(update={"readings": ()}).to_bytes().decode()


def from_live(header: str, bodies: Sequence[str]) -> Readings:
    """The readings of an attempt that is stored row by row."""
    taken = tuple(Reading.model_validate_json(body) for body in bodies)
    return Readings.model_validate_json(header).model_copy(update={"readings": taken})


def json_from_live(header: str, bodies: Sequence[str]) -> bytes:
    """The JSON of an attempt that is stored row by row: what `Readings.to_bytes` gives."""
    return f"{header.removesuffix(LIST_ENDS)}{','.join(bodies)}{LIST_ENDS}".encode()


def pack(body: bytes) -> bytes:
    """The JSON of an attempt's readings as one compressed value."""
    return zlib.compress(body)


def unpack_json(packed: bytes) -> bytes:
    """The JSON that was packed, to the byte."""
    return zlib.decompress(packed)


def unpack(packed: bytes) -> Readings:
    """The readings whose JSON was packed.

    They are parsed one by one: a call that parses them all at once holds up every other thread,
    the event loop's too (0.3 s for 30,000 readings).
    """
    body = unpack_json(packed).decode()
    header, begin, listed = body.partition(LIST_BEGINS)
    taken = tuple(Reading.model_validate(reading) for reading in _each(listed))
    return from_live(f"{header}{begin}{LIST_ENDS}", ()).model_copy(update={"readings": taken})


def _each(listed: str) -> Iterator[object]:
    """The values of a JSON list without spaces that begins behind its bracket."""
    scan, place = json.JSONDecoder().raw_decode, 0
    while listed[place] != LIST_ENDS[0]:
        value, place = scan(listed, place + (listed[place] == ","))
        yield value


def storable(text: str) -> bool:
    """Whether PostgreSQL can hold a text: no NUL, and no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
