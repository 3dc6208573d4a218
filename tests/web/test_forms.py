"""Forms: read as text, and refused where a page of another site made the browser send them."""

import pytest
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from app.web.forms import filled, refuse_foreign

OURS = [
    {},
    {"sec-fetch-site": "same-origin"},
    {"sec-fetch-site": "none"},
    {"origin": "http://host:8000", "host": "host:8000"},
    {"sec-fetch-site": "same-origin", "origin": "http://host:8000", "host": "host:8000"},
]
FOREIGN = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "origin": "http://host:8000", "host": "host:8000"},
    {"origin": "http://evil.example", "host": "host:8000"},
    {"origin": "http://host:9000", "host": "host:8000"},
    {"origin": "null", "host": "host:8000"},
    {"origin": "http://host:8000"},
]


@pytest.mark.parametrize("headers", OURS)
def test_our_own_pages_and_programs_may_send(headers):
    refuse_foreign(Headers(headers))


@pytest.mark.parametrize("headers", FOREIGN)
def test_another_origins_page_may_not(headers):
    with pytest.raises(HTTPException) as caught:
        refuse_foreign(Headers(headers))
    assert caught.value.status_code == 403


def test_what_was_left_empty_is_not_given():
    assert filled([("a", " 1 "), ("b", ""), ("c", "  "), ("a", "2")]) == {"a": "2"}
