"""What every page has: a strict policy, and nothing in it that was not written here."""

import re

import pytest

from app.web.pages import asset, render

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'"


@pytest.fixture
async def hostile(measured, began, store, make_host):
    """Jobs and a host whose every free text is markup."""
    await store.beat(make_host("h1"))
    done = await measured(tags={"k": MARKUP})
    also = await measured(tags={"k": MARKUP}, batch_size=16)
    running, _ = await began(tags={"k": MARKUP})
    return done, also, running


async def test_nothing_that_a_user_wrote_is_markup(browser, hostile, store, make_host):
    await store.beat(make_host(MARKUP))
    done, also, running = hostile
    for path in (
        "/",
        "/jobs",
        f"/jobs?tag=k:{MARKUP[:20]}",
        f"/jobs?host={MARKUP}",
        f"/submit?tags={MARKUP}",
        f"/jobs/{done.id}",
        f"/jobs/{done.id}?region={MARKUP}",
        f"/jobs/{running.id}",
        f"/compare?job={done.id}&job={also.id}",
        f"/compare?job={MARKUP}",
        "/hosts",
    ):
        page = await browser.get(path)
        assert page.status_code in (200, 422), (path, page.text)
        assert "<script>alert" not in page.text, path
        assert "<img" not in page.text, path


async def test_every_page_is_strict_and_asks_nobody_else(browser, hostile):
    done, also, running = hostile
    compare = f"/compare?job={done.id}&job={also.id}"
    for path in ("/", "/jobs", "/submit", f"/jobs/{done.id}", f"/jobs/{running.id}", compare):
        page = await browser.get(path)
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        assert page.headers["cache-control"] == "no-store"
        assert " style=" not in page.text and "<style" not in page.text, path
        assert not re.search(r'\son[a-z]+="', page.text), path
        addresses = re.findall(r'(?:src|href|action|formaction)="([^"]*)"', page.text)
        assert all(one.startswith(("/", "#")) and not one.startswith("//") for one in addresses)
        assert page.text.count("<h1") == 1
        assert '<html lang="en">' in page.text


async def test_the_files_that_pages_name_are_there(browser):
    page = await browser.get("/")
    for address in re.findall(r'href="(/static/[^"]*)"', page.text):
        answer = await browser.get(address)
        assert answer.status_code == 200, address
    script = await browser.get("/static/live.js")
    assert script.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("name", ["nothing.css", "..%2f__init__.py", "%2e%2e", "style.css%00"])
async def test_no_other_file_is_given(browser, name):
    assert (await browser.get(f"/static/{name}")).status_code == 404
    assert asset(name) is None


def test_backticks_become_code_and_nothing_else_gets_through():
    problem = {"title": "t", "detail": "d", "errors": [], "reasons": [], "request_id": "r"}
    assert "<h1>t</h1>" in render("error", problem=problem, code=404, here="")
    from app.web.pages import _coded

    assert str(_coded("set `A_B` <b>")) == "set <code>A_B</code> &lt;b&gt;"
