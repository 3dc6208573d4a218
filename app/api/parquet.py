"""Readings and flat rows of reports as Parquet files, a typed column each."""

import io
import json
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from app.domain.readings import Phase, Reading, Readings
from app.domain.report_rows import ReportRow

MEDIA_TYPE = "application/vnd.apache.parquet"
METADATA_KEY = "trainwatt"  # under it: everything but the readings, as JSON
NO_FLOATS = frozenset({"sensors_j", "begins", "index", "ended"})
FLOATS = tuple(name for name in Reading.model_fields if name not in NO_FLOATS)


def parquet(readings: Readings) -> bytes:
    """The readings, a row each; `sensor_0_j` and so on as the facts list them, `ended` as JSON.

    The facts of the attempt are JSON in the file's metadata.
    """
    from arro3.core import Array, DataType  # 34 MB of code that most requests do not need

    rows = readings.readings
    columns: dict[str, Any] = {
        name: Array([getattr(row, name) for row in rows], DataType.float64()) for name in FLOATS
    }
    for number in range(len(readings.meter.sensors)):
        counter = [row.sensors_j[number] if row.sensors_j else None for row in rows]
        columns[f"sensor_{number}_j"] = Array(counter, DataType.float64())
    columns["begins"] = Array([_name(row.begins) for row in rows], DataType.utf8())
    columns["index"] = Array([row.index for row in rows], DataType.int64())
    columns["ended"] = Array([json.dumps(row.ended) for row in rows], DataType.utf8())
    about = {METADATA_KEY: readings.model_dump_json(exclude={"readings"}, exclude_defaults=True)}
    return _file(columns, about)


def rows_parquet(rows: Sequence[str]) -> bytes:
    """Flat rows, each given as its JSON object; always every column, times in UTC."""
    parsed = [ReportRow.model_validate_json(row) for row in rows]
    return _file(
        {
            name: _column([getattr(row, name) for row in parsed], _kind(field.annotation))
            for name, field in ReportRow.model_fields.items()
        },
        {},
    )


def _file(columns: dict[str, Any], about: dict[str, str]) -> bytes:
    from arro3.core import Table
    from arro3.io import write_parquet

    file = io.BytesIO()
    # once in the Arrow schema, where pyarrow looks, and once in the footer, where others do
    table = Table.from_pydict(columns, metadata=about)
    write_parquet(table, file, compression="zstd(3)", key_value_metadata=about)
    return file.getvalue()


def _kind(annotation: Any) -> type:
    """What a column holds beside null: bool, int, float, datetime, or text."""
    kinds = [one for one in get_args(annotation) or (annotation,) if one is not type(None)]
    if get_origin(annotation) is Literal or issubclass(kinds[0], Enum):
        return str
    kind: type = kinds[0]
    return kind


def _column(values: list[Any], kind: type) -> Any:
    from arro3.core import Array, DataType

    if kind is datetime:
        times = DataType.timestamp("us", tz="UTC")
        micros = [None if v is None else round(v.timestamp() * 1e6) for v in values]
        return Array(micros, DataType.int64()).cast(times)
    if kind is str:
        texts = [v.value if isinstance(v, Enum) else v for v in values]
        return Array(texts, DataType.utf8())
    types = {bool: DataType.bool(), int: DataType.int64(), float: DataType.float64()}
    return Array(values, types[kind])


def _name(phase: Phase | None) -> str | None:
    return None if phase is None else phase.value
