"""A real Chromium on a real service: what it prints, asks for and finds inaccessible is kept."""

import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from tests.end_to_end.conftest import run_service

NAMES = ("chromium", "chromium-browser", "google-chrome")
SCREENSHOTS = os.environ.get("TRAINWATT_SCREENSHOTS")
PATIENCE_MS = 90_000


@dataclass
class Seen:
    """What a page did that it should not: messages, errors, requests to others, dialogs."""

    console: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def nothing(self) -> bool:
        return not (self.console or self.foreign or self.dialogs)


class Site:
    """The service, and pages on it."""

    def __init__(self, browser, service):
        self.browser, self.service = browser, service
        self.url = str(service.http.base_url).rstrip("/")

    def page(self, width=1280, **context) -> tuple[Page, Seen]:
        made = self.browser.new_context(
            viewport={"width": width, "height": 900}, base_url=self.url, **context
        )
        made.set_default_timeout(PATIENCE_MS)
        page, seen = made.new_page(), Seen()
        page.on("console", lambda m: m.type in ("error", "warning") and seen.console.append(m.text))
        page.on("pageerror", lambda error: seen.console.append(str(error)))
        page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
        page.on(
            "request",
            lambda r: r.url.startswith((self.url, "data:")) or seen.foreign.append(r.url),
        )
        return page, seen

    def finished(self, **fields) -> str:
        """The identifier of a job that has ended."""
        job_id = self.service.submit(**fields)
        job = self.service.until(job_id, lambda job: job["finished_at"])
        assert job["status"] == "succeeded", job
        return job_id

    def experiment(self, spec) -> str:
        """The identifier of an experiment that has ended."""
        made = self.service.http.post("/v1/experiments", json=spec).raise_for_status().json()
        here = made["links"]["self"]
        deadline_s = time.monotonic() + PATIENCE_MS / 1000
        while not (found := self.service.http.get(here).json())["ended"]:
            assert time.monotonic() < deadline_s, found
            time.sleep(0.2)
        assert found["ended"] == "complete", found
        return made["id"]


@pytest.fixture(scope="session")
def chromium():
    """The installed browser; TRAINWATT_BROWSER names another one."""
    path = os.environ.get("TRAINWATT_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    assert path, f"expected a browser, {' or '.join(NAMES)}: install Debian's package chromium"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(chromium):
    """A service of the module's own."""
    with run_service() as service:
        yield Site(chromium, service)


def inaccessible(page: Page) -> list[str]:
    """What axe-core finds, the serious and the lesser, with the first place of each."""
    found = Axe().run(page).response["violations"]
    return [f"{one['impact']} {one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


def picture(page: Page, name: str) -> None:
    """A screenshot for the documents, where TRAINWATT_SCREENSHOTS names their folder."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)


def reachable(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", trust_env=False).is_success
    except httpx.HTTPError:
        return False
