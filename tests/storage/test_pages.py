"""Cursors: what is written is read again, what nobody wrote is refused."""

import base64

import pytest

from app.domain.errors import SpecError
from app.domain.jobs import JobFilter
from app.storage.pages import possible, read_cursor, write_cursor


@pytest.mark.parametrize("place", [("a", None, "j"), ("-x", 1 / 3, "☃"), ("x", 5e-324, "")])
def test_a_cursor_comes_back(place) -> None:
    assert read_cursor(write_cursor(*place), 3) == list(place)


def _coded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "=",
        "☃",
        "\ud800",
        _coded(b"\xff"),
        _coded(b"5"),
        _coded(b'{"a": 1, "b": 2}'),
        _coded(b"[1]"),
        _coded(b"[" * 50_000),
        _coded(b"[1," + b"9" * 5000 + b"]"),
        f"{write_cursor('a', 'b')}\n",
    ],
)
def test_what_is_no_cursor_is_refused(cursor) -> None:
    with pytest.raises(SpecError, match="cursor"):
        read_cursor(cursor, 2)


def test_a_filter_that_no_job_can_match() -> None:
    assert possible(JobFilter(host="box", tag=("a", "")))
    assert not possible(JobFilter(host="a\0"))
    assert not possible(JobFilter(tag=("a", "\ud800")))
