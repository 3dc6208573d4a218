"""Readings as Parquet, read back by pyarrow and pandas."""

import io
import json
from datetime import UTC, datetime

import pandas
import pyarrow
import pytest
from pyarrow import parquet as pq

from app.accounting.report import empty_report
from app.accounting.rows import row
from app.api.parquet import parquet, rows_parquet
from app.domain.jobs import JobStatus
from app.domain.quantities import CarbonIntensity
from app.domain.readings import Phase, Reading, Readings, Sensor
from app.domain.report_rows import ReportRow
from app.domain.specs import JobSpec
from app.workloads import catalogue


@pytest.fixture
def readings(a_host):
    facts = {"loss": 0.5, "text": '☃ "', "deep": [1e-7, None]}
    taken = (
        Reading(t_s=0, cpu_j=None, gpu_j=None, ram_j=1e22, begins=Phase.SETUP),
        Reading(t_s=1 / 3, cpu_j=0.1, gpu_j=None, ram_j=-0.0, begins=Phase.EPOCH, index=0),
        Reading(t_s=1, cpu_j=0.2, gpu_j=None, ram_j=2, ended=facts, instrument_cpu_s=1e-9),
    )
    return Readings(
        attempt=2,
        started_at=a_host.started_at,
        host=a_host.facts,
        meter=a_host.meter,
        sample_interval_s=0.5,
        readings=taken,
    )


def _again(table):
    """The readings that a table was made of."""
    rows = [{**row, "ended": json.loads(row["ended"])} for row in table.to_pylist()]
    about = json.loads(table.schema.metadata[b"trainwatt"])
    return Readings.model_validate_json(json.dumps({**about, "readings": rows}))


def test_pyarrow_reads_what_the_json_says(readings):
    table = pq.read_table(io.BytesIO(parquet(readings)))
    assert _again(table).to_bytes() == readings.to_bytes()
    types = {field.name: field.type for field in table.schema}
    assert set(types) == set(Reading.model_fields) - {"sensors_j"}
    assert types.pop("index") == pyarrow.int64()
    assert types.pop("begins") == types.pop("ended") == pyarrow.string()
    assert set(types.values()) == {pyarrow.float64()}


def test_each_sensor_has_a_column(readings):
    sensors = (Sensor(name="package-0", component="cpu"), Sensor(name="GPU 0", component="gpu"))
    taken = tuple(
        reading.model_copy(update={"sensors_j": (1.0, None) if n else ()})
        for n, reading in enumerate(readings.readings)
    )
    facts = readings.meter.model_copy(update={"sensors": sensors})
    whole = readings.model_copy(update={"meter": facts, "readings": taken})
    table = pq.read_table(io.BytesIO(parquet(whole)))
    assert table["sensor_0_j"].to_pylist() == [None] + [1.0] * (len(taken) - 1)
    assert table["sensor_1_j"].to_pylist() == [None] * len(taken)


def test_pandas_reads_it(readings):
    table = pandas.read_parquet(io.BytesIO(parquet(readings)))
    assert table["t_s"].tolist() == [0, 1 / 3, 1]
    assert table["cpu_j"].isna().tolist() == [True, False, False]
    assert table["gpu_j"].dtype == "float64"
    assert table["begins"].tolist()[:2] == ["setup", "epoch"]


def test_the_facts_stand_in_the_footer_too(readings):
    footer = pq.read_metadata(io.BytesIO(parquet(readings))).metadata
    assert json.loads(footer[b"trainwatt"])["attempt"] == 2


def test_no_reading_is_an_empty_table_of_the_same_columns(readings):
    empty = readings.model_copy(update={"readings": ()})
    table = pq.read_table(io.BytesIO(parquet(empty)))
    assert _again(table) == empty
    assert table.schema.equals(pq.read_table(io.BytesIO(parquet(readings))).schema)


@pytest.fixture
def flat():
    """The row of a job that never ran: as much null as there can be."""
    spec = JobSpec(model_type="cnn", tags={"a": "☃"})
    moment = datetime(2026, 11, 24, 20, 0, 0, 123456, tzinfo=UTC)
    report = empty_report(
        job_id="j",
        spec=spec,
        status=JobStatus.CANCELLED,
        work=catalogue.facts(spec),
        intensity=CarbonIntensity(
            g_per_kwh=None,
            source=None,
            year=None,
            country_iso_code=None,
            region=None,
            pue=1,
            reason="no_country",
        ),
        finished_at=moment,
    )
    return row(report, spec=spec, created_at=moment)


def test_rows_have_every_column_with_its_type(flat):
    table = pq.read_table(io.BytesIO(rows_parquet([flat.model_dump_json()])))
    assert table.column_names == list(ReportRow.model_fields)
    assert ReportRow.model_validate(table.to_pylist()[0]) == flat
    types = {field.name: str(field.type) for field in table.schema}
    assert types["created_at"] == "timestamp[us, tz=UTC]"
    assert (types["energy_total_j"], types["epochs"]) == ("double", "int64")
    assert (types["complete"], types["status"], types["grade"]) == ("bool", "string", "string")


def test_no_rows_are_a_table_too():
    table = pandas.read_parquet(io.BytesIO(rows_parquet([])))
    assert (len(table), list(table.columns)) == (0, list(ReportRow.model_fields))


def test_a_row_from_before_a_column_was_there_has_null_in_it(flat):
    old = flat.model_dump_json(exclude={"matmul_share", "overrides"})
    (found,) = pq.read_table(io.BytesIO(rows_parquet([old]))).to_pylist()
    assert (found["matmul_share"], found["overrides"]) == (None, None)
