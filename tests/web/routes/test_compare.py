"""Jobs side by side."""

import pytest

from app.domain.jobs import JobStatus


async def test_the_first_is_what_others_are_set_against(browser, measured):
    one = await measured(watts=8.0, epochs=3)
    two = await measured(watts=36.0, epochs=3, batch_size=128)
    page = await browser.get(f"/compare?job={one.id}&job={two.id}")
    assert page.status_code == 200
    assert "B used 2.00 times the energy of A" in page.text
    assert "<strong>× 2.00</strong>" in page.text
    differing = page.text.partition("What differs")[2].partition("<details>")[0]
    assert "<code>batch_size</code>" in differing
    assert "<code>epochs</code>" not in differing
    assert "compares durations" in page.text


async def test_a_job_without_a_figure_cannot_be_told(browser, measured, store):
    from app.domain.specs import JobSpec

    one = await measured()
    never = await store.submit(JobSpec(model_type="cnn"), max_queued=10)
    await browser.post(f"/jobs/{never.id}/cancel")
    page = await browser.get(f"/compare?job={one.id}&job={never.id}")
    assert "Nobody can tell how B compares with A" in page.text


async def test_a_job_that_was_cut_says_what_to_compare(browser, measured):
    one = await measured()
    cut = await measured(status=JobStatus.TIMED_OUT)
    page = await browser.get(f"/compare?job={one.id}&job={cut.id}")
    assert "compare energy per sample" in page.text


@pytest.mark.parametrize("ids", [[], ["a"], ["a", "a"], [str(n) for n in range(9)]])
async def test_too_few_or_too_many_are_refused(browser, ids):
    page = await browser.get("/compare", params=[("job", one) for one in ids])
    assert page.status_code == 422
    assert "select them in the list of jobs" in page.text


async def test_a_job_that_runs_is_refused_with_its_status(browser, measured, began):
    one = await measured()
    running, _ = await began()
    page = await browser.get(f"/compare?job={one.id}&job={running.id}")
    assert page.status_code == 409
    assert "is running" in page.text
