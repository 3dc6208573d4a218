"""Flat rows of reports as CSV: the header line always, null as an empty cell, true and false."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from app.domain.report_rows import ReportRow

COLUMNS = tuple(ReportRow.model_fields)
CHUNK_ROWS = 200  # turned into text at a time: some 20 ms
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_chunks(rows: Sequence[str]) -> Iterator[bytes]:
    """The table of these rows, each given as its JSON object; a chunk of lines at a time."""
    yield _lines([COLUMNS])
    for start in range(0, len(rows), CHUNK_ROWS):
        parsed = map(json.loads, rows[start : start + CHUNK_ROWS])
        yield _lines([[_cell(row.get(column)) for column in COLUMNS] for row in parsed])


def _lines(cells: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(cells)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"  # a spreadsheet would take it for a formula
    return value
