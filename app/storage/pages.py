"""Pages of a list: which jobs are meant, and where the next page begins."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from app.domain.errors import FieldError, SpecError
from app.domain.jobs import JobFilter
from app.storage.rows import storable
from app.storage.tables import FILTERS, jobs


def matches(wanted: JobFilter, table: sa.Table = jobs) -> Iterator[sa.ColumnElement[bool]]:
    """What holds for the jobs that are meant, a condition each.

    Tags and experiment are those of `jobs`.

    Args:
        wanted: the filter.
        table: where their status, model type and host are looked up: `jobs` or `reports`.
    """
    for name in FILTERS:
        value = getattr(wanted, name)
        if value is not None:
            yield table.c[name] == str(value)
    if wanted.tag is not None:
        key, value = wanted.tag
        yield jobs.c.tags.contains({key: value})
    if wanted.experiment is not None:
        yield jobs.c.experiment_id == wanted.experiment


def possible(wanted: JobFilter) -> bool:
    """Whether any job can match: not where a text is one that the database cannot hold."""
    texts = (wanted.model_type, wanted.host, wanted.experiment, *(wanted.tag or ()))
    return all(storable(text) for text in texts if text)


def write_cursor(*place: str | float | None) -> str:
    """Where the next page begins, as text that says nothing to its reader."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def read_cursor(cursor: str, parts: int) -> list[Any]:
    """What `write_cursor` was given, so many parts; their types are still to be checked.

    Raises:
        SpecError: it is no cursor.
    """
    try:
        place = json.loads(base64.b64decode(cursor.encode(), altchars=b"-_", validate=True))
    except (ValueError, RecursionError) as error:
        raise wrong_cursor(cursor) from error
    if not isinstance(place, list) or len(place) != parts:
        raise wrong_cursor(cursor)
    return place


def wrong_cursor(cursor: str) -> SpecError:
    """The error for a cursor that is none of ours, or one of another list."""
    expected = "the `next_cursor` of an answer to this query"
    return SpecError(FieldError(field="cursor", expected=expected, received=cursor))
