"""What the client gives: tables, and reports that a notebook shows."""

import pandas

from app.client.models import Report, RowList
from app.domain.report_rows import ReportRow
from app.domain.specs import JobSpec


def test_rows_become_a_table_with_every_column(client):
    client.submit(JobSpec(model_type="cnn", tags={"a": "b"})).cancel()
    table = client.reports().to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert list(table.columns) == list(ReportRow.model_fields)
    assert list(table["model_type"]) == ["cnn"]
    empty = RowList(items=(), next_cursor=None).to_pandas()
    assert list(empty.columns) == list(ReportRow.model_fields)


def test_a_notebook_shows_the_sentences_and_executes_nothing(client):
    report = client.submit(JobSpec(model_type="cnn")).cancel().report()
    odd = report.model_copy(update={"job_id": "<script>"})
    assert isinstance(odd, Report)
    shown = odd._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "the job never ran" in shown
