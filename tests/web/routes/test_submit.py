"""The form of a job."""

from datetime import UTC, datetime

import pytest

from app.domain.jobs import EVERY_JOB

LEAST = {"model_type": "cnn", "size": "base", "epochs": "3", "dataset.name": "mnist5k"}


async def test_the_address_fills_the_form_in(browser):
    page = await browser.get("/submit?model_type=gru&epochs=7&carbon.pue=1.3")
    assert '<option value="gru" selected>' in page.text
    assert 'name="epochs" value="7"' in page.text
    assert 'name="carbon.pue" value="1.3"' in page.text
    assert 'value="keras"' not in page.text


async def test_a_form_becomes_a_job(browser, store):
    answer = await browser.post("/submit", data=LEAST | {"tags": "a=b", "batch_size": ""})
    assert answer.status_code == 303
    job = await store.get(answer.headers["location"].removeprefix("/jobs/"))
    assert (job.spec.model_type, job.spec.tags, job.spec.batch_size) == ("cnn", {"a": "b"}, 32)


async def test_a_look_shows_the_job_and_submits_nothing(browser, store):
    page = await browser.post("/submit", data=LEAST | {"look": "1", "batch_size": "64"})
    assert page.status_code == 200
    assert "225,034" in page.text
    assert "curl -s http://localhost/v1/jobs" in page.text
    assert "from app.client import Client" in page.text
    assert 'name="batch_size" value="64"' in page.text
    assert (await store.list_jobs(EVERY_JOB)).items == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [("epochs", "0"), ("model_type", "nothing"), ("dataset.name", "digit"), ("batch_size", "x")],
)
async def test_what_does_not_hold_is_named_and_the_form_keeps_what_was_typed(
    browser, store, field, value
):
    given = LEAST | {field: value, "tags": "kept=yes"}
    page = await browser.post("/submit", data=given)
    assert page.status_code == 422
    assert f"<code>{field}</code>" in page.text
    assert 'aria-invalid="true"' in page.text
    assert 'value="kept=yes"' in page.text
    assert (await store.list_jobs(EVERY_JOB)).items == ()


async def test_a_full_queue_is_told_in_the_form(browser, settings, store):
    from app.domain.specs import JobSpec

    for _ in range(settings.max_queued_jobs):
        await store.submit(JobSpec(model_type="cnn"), max_queued=settings.max_queued_jobs)
    page = await browser.post("/submit", data=LEAST)
    assert page.status_code == 429
    assert 'role="alert"' in page.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
async def test_only_forms_of_our_own_pages_are_taken(browser, store, headers, status):
    answer = await browser.post("/submit", data=LEAST, headers=headers)
    assert answer.status_code == status
    assert (await store.list_jobs(EVERY_JOB)).items == ()


async def test_a_form_is_bounded(browser):
    answer = await browser.post("/submit", data=LEAST | {"tags": "x" * 2**20})
    assert answer.status_code == 413


async def test_a_job_beyond_its_limit_is_told_and_can_be_submitted_all_the_same(
    browser, store, make_host, finish_job
):
    await store.beat(make_host("box", last_seen=datetime.now(UTC)))
    given = LEAST | {"size": "tiny", "epochs": "1", "dataset.name": "digits"}
    for _ in range(3):
        made = await browser.post("/submit", data=given)
        await finish_job(store, made.headers["location"].removeprefix("/jobs/"))
    look = await browser.post("/submit", data=given | {"look": "1"})
    assert "About 200 J" in look.text
    tight = given | {"limits.energy_j": "50"}
    page = await browser.post("/submit", data=tight)
    assert page.status_code == 409
    assert "limits.energy_j is 50.0 J" in page.text
    assert 'aria-invalid="true"' in page.text
    assert 'name="force" value="1"' in page.text
    made = await browser.post("/submit", data=tight | {"force": "1"})
    assert made.status_code == 303
    shown = await browser.get(made.headers["location"])
    assert "Quoted when it was queued: About 200 J" in shown.text
