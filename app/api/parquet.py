"""Readings as a Parquet file: a typed column a counter, the attempt's facts in its metadata."""

import io
import json
from typing import Any

from app.domain.readings import Phase, Reading, Readings

MEDIA_TYPE = "application/vnd.apache.parquet"
METADATA_KEY = "trainwatt"  # under it: everything but the readings, as JSON
NO_FLOATS = frozenset({"sensors_j", "begins", "index", "ended"})
FLOATS = tuple(name for name in Reading.model_fields if name not in NO_FLOATS)


def parquet(readings: Readings) -> bytes:
    """The readings, a row each; `sensor_0_j` and so on as the facts list them, `ended` as JSON."""
    from arro3.core import Array, DataType, Table  # 34 MB of code that most requests do not need
    from arro3.io import write_parquet

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
    file = io.BytesIO()
    about = {METADATA_KEY: readings.model_dump_json(exclude={"readings"}, exclude_defaults=True)}
    table = Table.from_pydict(columns, metadata=about)
    # once in the Arrow schema, where pyarrow looks, and once in the footer, where others do
    write_parquet(table, file, compression="zstd(3)", key_value_metadata=about)
    return file.getvalue()


def _name(phase: Phase | None) -> str | None:
    return None if phase is None else phase.value
