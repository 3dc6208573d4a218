"""Rows as CSV, read back by the standard library and by pandas."""

import csv
import io
import json

import pandas
import pytest

from app.api.tables import CHUNK_ROWS, COLUMNS, csv_chunks


def _table(*rows):
    text = b"".join(csv_chunks([json.dumps(row) for row in rows])).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_header_is_there_without_any_row():
    assert b"".join(csv_chunks([])).decode() == ",".join(COLUMNS) + "\r\n"


def test_cells():
    odd = 'a "quoted", two-lined\nü'
    [row] = _table({"host": odd, "complete": True, "seed": 0, "pue": 1.0, "co2e_g": None})
    assert (row["host"], row["complete"], row["seed"], row["pue"]) == (odd, "true", "0", "1.0")
    assert row["co2e_g"] == row["energy_gpu_j"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start):
    [row] = _table({"host": f"{start}1+1", "energy_net_j": -1.5})
    assert row["host"] == f"'{start}1+1"
    assert row["energy_net_j"] == "-1.5"


def test_figures_come_back_to_the_last_bit():
    figures = [0.1 + 0.2, 1e-300, 1e22, 5e-324, 1 / 3]
    rows = _table(*({"co2e_g": figure} for figure in figures))
    assert [float(row["co2e_g"]) for row in rows] == figures


def test_many_rows_come_in_chunks_in_order():
    count = 2 * CHUNK_ROWS + 1
    chunks = list(csv_chunks([json.dumps({"seed": n}) for n in range(count)]))
    assert len(chunks) == 4
    table = pandas.read_csv(io.BytesIO(b"".join(chunks)))
    assert table["seed"].tolist() == list(range(count))
