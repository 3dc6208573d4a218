"""The wiring: which database serves, and that the app opens it and closes it again."""

import subprocess
import sys

import httpx
import psycopg
import pytest

from app.bootstrap import database, make_api
from app.domain.errors import UnavailableError, UsageError
from app.ownership import own
from app.settings import Settings
from app.workloads import catalogue, plugins

WEB = ("fastapi", "starlette", "uvicorn", "keras", "tensorflow")


def _client(app):
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def test_the_app_migrates_and_serves_the_given_database(empty_database_url, tmp_path):
    app = make_api(Settings(database_url=empty_database_url, data_dir=tmp_path / "none"))
    async with app.router.lifespan_context(app), _client(app) as client:
        assert (await client.get("/readyz")).status_code == 200
        made = await client.post("/v1/jobs", json={"model_type": "rnn", "size": "tiny"})
        assert made.status_code == 202
    async with app.router.lifespan_context(app), _client(app) as client:
        assert (await client.get(made.headers["location"])).json() == made.json()
    assert not (tmp_path / "none").exists()


async def test_without_a_url_an_embedded_database_serves_and_ends(short_dir):
    settings = Settings(data_dir=short_dir / "data", database_url=None)
    async with database(settings) as url:
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(UsageError):
            async with database(settings):
                pass
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2)


async def test_an_owned_data_directory_is_refused_with_a_sentence(tmp_path):
    with own(tmp_path, "http://127.0.0.1:8000"), pytest.raises(UsageError, match="belongs to"):
        async with database(Settings(data_dir=tmp_path, database_url=None)):
            pass


async def test_a_database_that_does_not_answer_is_a_sentence(tmp_path):
    url = "postgresql://nobody@127.0.0.1:1/none"
    app = make_api(Settings(database_url=url, data_dir=tmp_path))
    with pytest.raises(UnavailableError, match="does not answer"):
        async with app.router.lifespan_context(app):
            pass


async def test_a_family_that_cannot_be_loaded_is_a_warning_at_the_start(
    tmp_path, monkeypatch, caplog
):
    facts = tmp_path / "broken-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[{plugins.GROUP}]\nbroken = nowhere:FAMILY\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    catalogue.families.cache_clear()
    app = make_api(Settings(database_url="postgresql://nobody@127.0.0.1:1/none", data_dir=tmp_path))
    with pytest.raises(UnavailableError):
        async with app.router.lifespan_context(app):
            pass
    catalogue.families.cache_clear()
    (record,) = [record for record in caplog.records if record.name == "app.workloads.plugins"]
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert record.getMessage() == (
        "the workload broken is left out, the entry point nowhere:FAMILY of the package "
        "broken 1.0: ModuleNotFoundError: No module named 'nowhere'"
    )


def test_the_worker_gets_no_web_framework_from_here():
    code = f"import sys, app.bootstrap; print([m for m in {WEB} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"
