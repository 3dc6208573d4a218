"""Idempotency keys: which job a submission with such a key made, as long as the key is kept."""

import hashlib
import json
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import IdempotencyError
from app.domain.specs import JobSpec
from app.storage.tables import idempotency_keys

KEPT = timedelta(hours=24)

_young = idempotency_keys.c.created_at > sa.func.now() - KEPT


async def job_of_key(connection: AsyncConnection, key: str, spec: JobSpec) -> str | None:
    """The id of the job that a key made; null where it made none.

    Raises:
        IdempotencyError: it made one of another spec.
    """
    columns = (idempotency_keys.c.job_id, idempotency_keys.c.spec_sha256)
    found = await connection.execute(
        sa.select(*columns).where(idempotency_keys.c.key == key, _young)
    )
    row = found.one_or_none()
    if row is None:
        return None
    if row.spec_sha256 != _sha256(spec):
        raise IdempotencyError(
            f"This Idempotency-Key was sent with another spec, for the job {row.job_id}: send a "
            "key of its own with each submission (it is kept for 24 hours)."
        )
    return str(row.job_id)


async def keep_key(connection: AsyncConnection, key: str, spec: JobSpec, job_id: str) -> None:
    """Remember which job a key made."""
    await connection.execute(
        idempotency_keys.insert().values(key=key, spec_sha256=_sha256(spec), job_id=job_id)
    )


async def forget_old_keys(connection: AsyncConnection) -> None:
    """Delete the keys that are not kept any more."""
    await connection.execute(idempotency_keys.delete().where(~_young))


def _sha256(spec: JobSpec) -> str:
    """The hash of a spec as it was sent, unlike its identity: tags, placement and prices count too.

    What the service fills in is left out.
    """
    sent = spec.model_copy(
        update={"dataset": spec.dataset.model_copy(update={"uploaded": None})}
    ).as_before()
    text = json.dumps(sent, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
