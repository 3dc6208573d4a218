"""The ways of a person: submit, report, compare, by mouse and by keyboard alone; what is live."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import reachable

pytestmark = pytest.mark.browser

SMALL = {"model_type": "cnn", "size": "base", "epochs": 3, "dataset": {"name": "mnist5k"}}
LONG = {"model_type": "cnn", "size": "tiny", "epochs": 10_000, "dataset": {"name": "digits"}}
REPORT = "Energy by component"


@pytest.fixture(scope="module")
def earlier(site):
    return site.finished(**SMALL, batch_size=64)


def test_from_a_form_to_a_comparison_in_six_actions(site, earlier):
    page, seen = site.page()
    page.goto("/")
    page.get_by_role("link", name="Submit", exact=True).click()
    page.get_by_role("button", name="Submit", exact=True).click()
    page.get_by_role("heading", name=REPORT).wait_for()
    job_id = page.url.rpartition("/")[2]
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.locator(f"input[value='{job_id}']").check()
    page.locator(f"input[value='{earlier}']").check()
    page.get_by_role("button", name="Compare the selected ones").click()
    page.get_by_role("heading", name="Compare 2 jobs").wait_for()
    assert "times the energy of A" in page.inner_text("main")
    assert "batch_size" in page.inner_text("main")
    assert seen.nothing(), seen
    page.context.close()


def tab_to(page, name, role):
    """Go on with the tabulator until this has the focus."""
    wanted = page.get_by_role(role, name=name, exact=True).first
    for _ in range(200):
        if wanted.evaluate("one => one === document.activeElement"):
            outline = wanted.evaluate("one => getComputedStyle(one).outlineStyle")
            assert outline != "none", f"{name} does not show that it has the focus"
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} is not reached by the keyboard")


def test_the_same_by_the_keyboard_alone(site, earlier):
    page, seen = site.page()
    page.goto("/")
    tab_to(page, "Submit", "link")
    page.keyboard.press("Enter")
    page.wait_for_url("**/submit")
    tab_to(page, "Submit", "button")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=REPORT).wait_for()
    job_id = page.url.rpartition("/")[2]
    tab_to(page, "Jobs", "link")
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs")
    for one in (job_id, earlier):
        name = page.locator(f"input[value='{one}']").get_attribute("aria-label")
        tab_to(page, name, "checkbox")
        page.keyboard.press("Space")
        page.locator("#main").focus()
    tab_to(page, "Compare the selected ones", "button")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Compare 2 jobs").wait_for()
    assert seen.nothing(), seen
    page.context.close()


def test_a_running_job_is_live_and_then_its_report(site):
    page, seen = site.page()
    job_id = site.service.submit(**LONG)
    page.goto(f"/jobs/{job_id}")
    expect(page.locator("[data-says]")).to_contain_text("training, epoch")
    page.evaluate("window.stayed = true")
    expect(page.locator("[data-charts] polyline.cpu").first).to_be_attached()
    before = page.locator("[data-charts] polyline.cpu").first.get_attribute("points")
    progress = page.locator("progress").evaluate("one => one.value")
    expect(page.locator("[data-charts] polyline.cpu").first).not_to_have_attribute("points", before)
    expect(page.locator("[data-power]")).to_have_text(re.compile(r"\d W"))
    expect(page.get_by_role("img", name=re.compile("^Loss"))).to_be_visible()
    page.wait_for_function(f"document.querySelector('progress').value > {progress}")
    assert page.evaluate("window.stayed") is True  # all that without a new page
    page.get_by_role("button", name="Cancel this job").click()
    page.get_by_role("heading", name=REPORT).wait_for()
    assert "cancelled" in page.inner_text("[data-says]")
    assert seen.nothing(), seen
    page.context.close()


def test_a_page_outlives_a_restart_of_the_service_and_says_so(site):
    page, seen = site.page()
    job_id = site.service.submit(**LONG)
    page.goto(f"/jobs/{job_id}")
    says = page.locator("[data-says]")
    expect(says).to_contain_text("training, epoch")
    site.service.part("app.cli").kill()
    expect(says).to_contain_text("The connection is lost")
    expect(says).to_contain_text("training, epoch")
    assert reachable(site.url)
    page.get_by_role("button", name="Cancel this job").click()
    page.get_by_role("heading", name=REPORT).wait_for()
    assert (seen.foreign, seen.dialogs) == ([], [])
    assert all("net::ERR" in text or "Failed to load" in text for text in seen.console), seen
    page.context.close()
