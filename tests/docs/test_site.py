"""The documentation as a site: it builds, loads nothing from elsewhere, and has no dead link."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
LOADS = {"src", "srcset", "data", "poster"}  # whatever the element
ELSEWHERE = r"(?:https?:)?//"


class _Page(HTMLParser):
    """What one page loads, links to, and can be linked to by."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.links, self.anchors = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.loads += [given[name] for name in LOADS & given.keys()]
        if "href" in given:
            (self.links if tag == "a" else self.loads).append(given["href"])
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    found = {path: _Page(path.read_text()) for path in site.rglob("*.html")}
    assert len(found) > 40
    return found


def test_no_page_loads_anything_from_elsewhere(pages):
    for path, page in pages.items():
        assert page.loads
        for address in page.loads:
            assert not re.match(ELSEWHERE, address), (path, address)


def test_no_style_loads_anything_from_elsewhere(site):
    styles = list(site.rglob("*.css"))
    assert styles
    for path in styles:
        assert not re.search(rf"""(?:url\(|@import)\s*["']?{ELSEWHERE}""", path.read_text()), path


def test_no_page_has_what_the_themes_script_asks_others_for(site):
    """It loads diagrams' code, and figures of a repository, where a page has a place for them."""
    for path in site.rglob("*.html"):
        assert not re.search(r'class="mermaid"|data-md-component="source"', path.read_text()), path


def test_every_link_within_the_site_has_an_end(site, pages):
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            end = _file(site, path, unquote(parts.path))
            assert end.is_file(), (path, link)
            if parts.fragment and end in pages:
                assert unquote(parts.fragment) in pages[end].anchors, (path, link)


def _file(site, page, path):
    """The file that a link of a page leads to; a folder's is its index."""
    if not path:
        return page
    end = site / path.lstrip("/") if path.startswith("/") else page.parent / path
    return (end / "index.html" if end.is_dir() else end).resolve()


def test_the_generator_is_no_part_of_the_site(site):
    assert not list(site.rglob("*.py"))
