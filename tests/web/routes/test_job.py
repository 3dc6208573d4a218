"""One job: while it runs, and its report."""

import pytest

from app.accounting.posted import account
from app.domain.jobs import JobStatus
from app.domain.quantities import CarbonIntensity
from app.domain.specs import JobSpec

NO_COUNTRY = CarbonIntensity(
    g_per_kwh=None,
    source=None,
    year=None,
    country_iso_code=None,
    region=None,
    pue=1.0,
    reason="no_country",
)


async def test_a_running_job_shows_what_it_has_used_so_far(browser, began):
    job, _ = await began(epochs=3)
    page = await browser.get(f"/jobs/{job.id}")
    assert page.status_code == 200
    assert f'data-job="{job.id}" data-reload' in page.text
    assert "training, epoch 2 of 3" in page.text
    assert "Energy so far" in page.text and "266 J" in page.text
    assert 'aria-label="Power, from 0 s to 9.50 s: CPU 8.00 W; RAM 20.0 W"' in page.text
    assert 'aria-label="Loss, from epoch 1 to epoch 3: training loss 0.333 to 1.00' in page.text
    assert '<meta http-equiv="refresh" content="5">' in page.text
    assert "How sure this is" not in page.text


async def test_a_job_that_waits_has_no_figures_and_says_why_nobody_takes_it(
    browser, store, make_host
):
    await store.beat(make_host("h1"))
    spec = JobSpec(model_type="cnn", placement={"labels": ["gpu"]})
    job = await store.submit(spec, max_queued=10)
    page = await browser.get(f"/jobs/{job.id}")
    assert "no known worker takes the label gpu" in page.text
    assert "No reading yet." in page.text


async def test_a_finished_job_shows_its_report(browser, measured):
    job = await measured(epochs=3, tags={"team": "vision"})
    page = await browser.get(f"/jobs/{job.id}")
    assert "data-job" not in page.text and "live.js" not in page.text
    assert "266 J (" in page.text
    assert "no country set, <a href=" in page.text
    assert "How sure this is: grade D" in page.text
    assert "<code>TRAINWATT_CPU_TDP_W</code>" in page.text
    assert '<tr><th scope="row">RAM</th><td class="n">190 J</td>' in page.text
    assert 'aria-label="CPU: 76.0 J, interval' in page.text
    assert "epoch 1 <strong>best</strong>" in page.text
    assert "91.0 % on the test set" in page.text
    assert f'href="/v1/jobs/{job.id}/report"' in page.text
    assert "-d &#39;{&#34;model_type&#34;: &#34;cnn&#34;" in page.text


async def test_it_is_evaluated_again_with_what_the_form_says(browser, measured):
    job = await measured(epochs=3)
    again = {"country_iso_code": "FRA", "region": "", "pue": "1.5", "assumptions": "specpower"}
    page = await browser.get(f"/jobs/{job.id}", params=again)
    assert page.status_code == 200
    assert "PUE 1.50" in page.text
    assert "This page shows the set specpower" in page.text
    assert "<option selected>specpower</option>" in page.text
    assert 'name="country_iso_code" value="FRA"' in page.text


@pytest.mark.parametrize(
    "query", ["pue=0.5", "pue=x", "country_iso_code=XXX", "assumptions=none", "nothing=1"]
)
async def test_what_cannot_be_evaluated_is_named_beside_the_stored_report(browser, measured, query):
    job = await measured(epochs=1)
    page = await browser.get(f"/jobs/{job.id}?{query}")
    assert page.status_code == 422
    assert "The report is as it is stored" in page.text
    assert f"<code>{query.partition('=')[0]}</code>" in page.text.replace("carbon.", "")
    assert "How sure this is" in page.text


async def test_a_job_that_never_ran_has_a_page(browser, store):
    job = await store.submit(JobSpec(model_type="cnn"), max_queued=10)
    answer = await browser.post(f"/jobs/{job.id}/cancel")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/jobs/{job.id}")
    page = await browser.get(answer.headers["location"])
    assert "cancelled" in page.text
    assert "the job never ran" in page.text
    assert (await browser.post(f"/jobs/{job.id}/cancel")).status_code == 409


async def test_another_sites_page_cancels_nothing(browser, store):
    job = await store.submit(JobSpec(model_type="cnn"), max_queued=10)
    headers = {"Origin": "http://evil.example"}
    answer = await browser.post(f"/jobs/{job.id}/cancel", headers=headers)
    assert answer.status_code == 403
    assert (await store.get(job.id)).status is JobStatus.QUEUED


@pytest.fixture
async def external(store, make_posted):
    """A training outside of the service whose texts are full of markup; its job."""
    posted = make_posted(name="<b>net</b>", dataset="<i>mine</i>", framework="torch <u>")
    await store.add_external(posted, account(posted, NO_COUNTRY))
    return posted.job_id


async def test_a_training_outside_of_the_service_has_a_page_and_no_spec_to_repeat(
    browser, external
):
    page = await browser.get(f"/jobs/{external}")
    assert page.status_code == 200
    assert "<h1>external (&lt;b&gt;net&lt;/b&gt;) on &lt;i&gt;mine&lt;/i&gt;</h1>" in page.text
    assert "ran outside of the service" in page.text and "Do it again" not in page.text
    assert "torch &lt;u&gt;" in page.text
    again = await browser.get(f"/jobs/{external}", params={"country_iso_code": "SWE"})
    assert "SWE" in again.text


async def test_it_is_listed_and_compared_with_a_job(browser, external, measured):
    for path in ("/", "/jobs", "/jobs?sort=energy_total_j", "/jobs?model_type=external"):
        page = await browser.get(path)
        assert page.status_code == 200
        assert "<b>net" not in page.text
    assert "external (&lt;b&gt;net&lt;/b&gt;)" in (await browser.get("/jobs")).text
    job = await measured(epochs=1)
    page = await browser.get(f"/compare?job={job.id}&job={external}")
    assert page.status_code == 200
    assert "external (&lt;b&gt;net&lt;/b&gt;)" in page.text
