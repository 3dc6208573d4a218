"""The jobs as a table."""

import re

import pytest

from app.domain.jobs import JobStatus
from app.domain.specs import JobSpec


def ids(page):
    return re.findall(r'<th scope="row"><a href="/jobs/([^"]+)"', page.text)


async def test_newest_first_with_those_that_have_not_ended(browser, measured, store):
    done = await measured()
    waits = await store.submit(JobSpec(model_type="rnn"), max_queued=10)
    page = await browser.get("/jobs")
    assert ids(page) == [waits.id, done.id]
    assert re.findall(r'name="job" value="([^"]+)"', page.text) == [done.id]


async def test_filters_and_orders_are_in_the_address(browser, measured):
    cheap = await measured(watts=2.0, tags={"team": "vision"})
    dear = await measured(watts=20.0, model_type="rnn")
    cut = await measured(watts=30.0, status=JobStatus.CANCELLED)
    assert ids(await browser.get("/jobs?sort=energy_total_j")) == [cheap.id, dear.id, cut.id]
    assert ids(await browser.get("/jobs?sort=-energy_total_j")) == [cut.id, dear.id, cheap.id]
    assert ids(await browser.get("/jobs?status=cancelled")) == [cut.id]
    assert ids(await browser.get("/jobs?model_type=rnn&status=&host=&tag=&sort=")) == [dear.id]
    page = await browser.get("/jobs?tag=team:vision&sort=energy_total_j")
    assert ids(page) == [cheap.id]
    assert 'value="team:vision"' in page.text
    assert '<option value="energy_total_j" selected>' in page.text


@pytest.mark.parametrize("sort", ["", "energy_total_j"])
async def test_a_page_leads_to_the_next(browser, measured, sort, monkeypatch):
    from app.web.routes import jobs

    monkeypatch.setattr(jobs, "PAGE", 2)
    made = [(await measured(watts=w)).id for w in (1.0, 2.0, 3.0)]
    first = await browser.get(f"/jobs?sort={sort}&model_type=cnn")
    following = re.search(r'href="(/jobs\?[^"]+)" rel="next"', first.text)[1].replace("&amp;", "&")
    second = await browser.get(following)
    assert sorted(ids(first) + ids(second)) == sorted(made)
    assert len(ids(first)) == 2
    assert 'rel="next"' not in second.text


async def test_two_jobs_are_drawn_by_energy_and_accuracy(browser, measured):
    assert "<circle" not in (await browser.get("/jobs")).text
    done = [await measured(watts=w) for w in (2.0, 20.0)]
    page = await browser.get("/jobs")
    assert page.text.count("<circle") == 2
    assert all(f'<a href="/jobs/{job.id}" aria-label="cnn base' in page.text for job in done)


async def test_no_match_says_so(browser):
    page = await browser.get("/jobs?host=nowhere")
    assert (page.status_code, "No job matches." in page.text) == (200, True)
