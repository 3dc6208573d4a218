"""Which media type is wanted most."""

import pytest
from starlette.requests import Request

from app.api.accept import preferred

A, B = "application/json", "text/csv"


def _asking(*headers):
    raw = [(b"accept", header.encode()) for header in headers]
    return Request({"type": "http", "headers": raw})


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], A),
        ([""], A),
        (["*/*"], A),
        (["text/csv"], B),
        (["TEXT/CSV;header=present"], B),
        (["text/*"], B),
        (["application/json, text/csv"], A),
        (["text/csv, application/json"], A),
        (["application/json;q=0.5, text/csv"], B),
        (["application/json;q=0.5", "text/csv;q=0.6"], B),
        (["*/*;q=0.1, text/csv ; q=0.2"], B),
        (["text/html,application/xhtml+xml,*/*;q=0.8"], A),
        (["application/json;q=0, */*"], B),
        (["application/json;q=0, text/csv;q=0"], None),
        (["image/png"], None),
        (["application/*;q=0"], None),
        (["text/csv;q=x"], B),
        (["text/csv;q=nan, application/json;q=0.5"], B),
        ([",;q,, text/csv"], B),
    ],
)
def test_preferred(headers, expected):
    assert preferred(_asking(*headers), (A, B)) == expected
