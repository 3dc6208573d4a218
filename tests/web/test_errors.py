"""Errors as pages for browsers, as problems for programs."""

import httpx
import pytest

HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
async def keyed(pages_app):
    app = pages_app(key="s3cret")
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://far") as client:
            yield client


async def test_a_browser_gets_a_page_and_a_program_a_problem(browser):
    page = await browser.get("/jobs/nothing")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "there is no job &#39;nothing&#39;" in page.text.lower()
    assert page.headers["x-request-id"] in page.text
    problem = await browser.get("/jobs/nothing", headers={"Accept": "*/*"})
    assert problem.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/v1/jobs/nothing", "/v1/nothing"])
async def test_the_api_answers_in_json_whoever_asks(browser, path):
    answer = await browser.get(path)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_fields_that_do_not_hold_are_listed(browser):
    page = await browser.get("/jobs?status=sleeping&nothing=1")
    assert page.status_code == 422
    assert "<code>status</code>" in page.text
    assert "<code>nothing</code>" in page.text


async def test_without_its_key_a_page_asks_for_it(keyed):
    page = await keyed.get("/jobs?x=1", headers=HTML)
    assert page.status_code == 401
    assert page.headers["www-authenticate"].startswith("Bearer")
    assert 'name="key" type="password"' in page.text
    opened = await keyed.get("/", params={"key": "s3cret"}, headers=HTML)
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    assert (await keyed.get("/", headers=HTML)).status_code == 200  # by the cookie


async def test_what_went_wrong_here_says_nothing_of_it(browser, monkeypatch):
    from app.service import Service

    async def fail(*_):
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(Service, "hosts", fail)
    page = await browser.get("/hosts")
    assert (page.status_code, page.headers["content-type"]) == (500, "text/html; charset=utf-8")
    assert "hunter2" not in page.text
