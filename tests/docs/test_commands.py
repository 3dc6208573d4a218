"""Every command of the pages that show some is run, in their order, against a real service."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest

from tests.end_to_end.conftest import run_service

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", DOCS / "tutorial.md", *sorted((DOCS / "how-to").glob("*.md"))]
ADDRESS = "http://127.0.0.1:8000"  # as the pages have it
HANGS_S = 240
RUNNABLE = {"bash", "python"}

# Blocks that not every machine can run: an installation, a service that stays, what needs root,
# Docker, a GPU or a second machine. Each page has so many, and runs the others.
NOT_RUN = {
    "README.md": 3,
    "tutorial.md": 2,
    "docker.md": 4,
    "gpu-host.md": 2,
    "laptop.md": 3,
    "power-sensors.md": 1,
    "several-hosts.md": 2,
    "virtual-machine.md": 1,
}


@pytest.fixture(scope="module")
def service():
    with run_service() as running:
        yield running


def _blocks(page):
    """The language and the text of every block of code."""
    return re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", page.read_text())


def _script(page, url, folder):
    """One shell script of all blocks of a page that are run; Python's lie beside it.

    Blocks of Python without one of the shell between them are one program.
    """
    run = [(language, text) for language, text in _blocks(page) if language in RUNNABLE]
    lines = ["set -euo pipefail"]
    for number, (language, group) in enumerate(groupby(run, key=lambda block: block[0])):
        here = "\n".join(text for _, text in group).replace(ADDRESS, url)
        if language == "python":
            file = folder / f"program_{number}.py"
            file.write_text(here)
            here = f"python {shlex.quote(str(file))}"
        lines.append(here)
    return "\n".join(lines)


RUN = [page for page in PAGES if RUNNABLE & {language for language, _ in _blocks(page)}]


def _environment(service, home):
    url, data_dir = str(service.http.base_url).rstrip("/"), service.data_dir
    return {name: value for name, value in os.environ.items() if "TRAINWATT" not in name} | {
        "HOME": str(home),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "TRAINWATT_URL": url,
        "TRAINWATT_DATA_DIR": str(data_dir),
        "TRAINWATT_HOST_LOCK": str(data_dir / "host.lock"),
        "TRAINWATT_QUIET_WAIT_S": "0",
    }


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_every_command_of_a_page_works(page, service, tmp_path):
    environment, folder = _environment(service, tmp_path), tmp_path / "here"
    folder.mkdir()
    (tmp_path / ".curlrc").write_text("fail-with-body\n")  # an answer that is an error ends it
    script = _script(page, environment["TRAINWATT_URL"], tmp_path)
    if "curl " in script and not shutil.which("curl"):
        pytest.skip("curl is not installed")
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_block_that_could_be_run_is_hidden(page):
    languages = Counter(language for language, _ in _blocks(page))
    assert set(languages) <= RUNNABLE | {"console", "text", "json", "yaml"}
    assert languages["console"] == NOT_RUN.get(page.name, 0)
    for language, text in _blocks(page):
        if language in {"text", "json"}:
            assert not re.search(r"(?m)^\s*(?:\$ |trainwatt [a-z]+ -|curl )", text), text


def test_the_pages_run_something():
    assert {ROOT / "README.md", DOCS / "tutorial.md", DOCS / "how-to" / "laptop.md"} <= set(RUN)
