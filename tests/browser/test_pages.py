"""Every page: no error, nobody else asked, accessible, from a telephone to a large screen."""

import pytest

from tests.browser.conftest import inaccessible, picture

pytestmark = pytest.mark.browser

SMALL = {"model_type": "cnn", "size": "tiny", "epochs": 3, "dataset": {"name": "digits"}}
PICTURED = ("overview", "submit", "jobs", "job", "compare", "experiment", "hosts")
MARKUP = "<script>window.pwned = 1; alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def jobs(site):
    return [
        site.finished(**SMALL, tags={"team": "vision"}, carbon={"country_iso_code": "FRA"}),
        site.finished(**SMALL, batch_size=128),
    ]


@pytest.fixture(scope="module")
def experiment(site):
    """One that has ended: three variants, twice each."""
    base = {"model_type": "cnn", "size": "tiny", "dataset": {"name": "digits"}}
    spec = {
        "name": "batch size",
        "base": base,
        "vary": {"batch_size": [16, 32, 128]},
        "repeats": 2,
    }
    return site.experiment(spec)


@pytest.fixture(scope="module")
def paths(jobs, experiment):
    one, two = jobs
    return {
        "experiments": "/experiments",
        "experiment": f"/experiments/{experiment}",
        "overview": "/",
        "submit": "/submit",
        "jobs": "/jobs",
        "job": f"/jobs/{one}",
        "compare": f"/compare?job={one}&job={two}",
        "hosts": "/hosts",
        "error": "/jobs/nothing",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280, 1920])
def test_every_page_is_whole(site, paths, width, scheme):
    page, seen = site.page(width, color_scheme=scheme)
    for name, path in paths.items():
        page.goto(path)
        if (width, scheme, name) in [(1280, "light", shown) for shown in PICTURED]:
            picture(page, name)
        assert inaccessible(page) == [], (name, width, scheme)
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert over <= 0, f"{name} is {over} px wider than {width} px"
        missing = [text for text in seen.console if "404" in text and name == "error"]
        assert len(seen.console) == len(missing), seen.console
        seen.console.clear()
    assert seen.nothing(), seen
    page.context.close()


def test_nothing_that_a_user_wrote_is_executed(site, jobs, paths):
    hostile = site.finished(**SMALL, tags={"team": MARKUP})
    page, seen = site.page()
    page.goto(f"/submit?tags=k={MARKUP}&model_type={MARKUP}")
    page.get_by_text("Limits, place and tags").click()
    assert page.get_by_label("Tags").input_value() == f"k={MARKUP}"
    typed = (f"/jobs?host={MARKUP}", f"/jobs/{hostile}?region={MARKUP}")
    shown = (f"/jobs/{hostile}", f"/compare?job={jobs[0]}&job={hostile}")
    for path in (*paths.values(), *typed, *shown):
        page.goto(path)
        assert page.evaluate("window.pwned") is None, path
    assert (seen.dialogs, seen.foreign) == ([], [])
    page.context.close()


def test_the_pages_can_be_read_without_javascript(site, jobs):
    page, seen = site.page(java_script_enabled=False)
    page.goto(f"/jobs/{jobs[0]}")
    assert page.get_by_role("heading", name="Energy by component").is_visible()
    assert page.locator("polyline.cpu").first.get_attribute("points")
    page.goto("/submit")
    page.get_by_label("Model").select_option("cnn")
    page.get_by_label("Data set").select_option("digits")
    page.get_by_role("button", name="Submit", exact=True).click()
    page.get_by_role("heading", name="Energy by component").wait_for()  # it looks again by itself
    assert seen.nothing(), seen
    page.context.close()
