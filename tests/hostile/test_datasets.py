"""Hostile uploads over real HTTP: each is refused in its words, and nothing of it is kept."""

import io
import tracemalloc

import httpx
import psycopg
import pytest

from app.bootstrap import make_api
from app.domain.errors import SpecError
from app.service.npz import inspect
from app.settings import Settings
from tests.hostile.datasets.corpus import CASES, npz

TYPE = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def database(postgres):
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE hostile")
    return postgres.url.replace("@/postgres?", "@/hostile?")


@pytest.fixture(scope="module")
def url(database, tmp_path_factory, serving):
    given = Settings(
        database_url=database, data_dir=tmp_path_factory.mktemp("hostile"), max_dataset_mib=1
    )
    with serving(make_api(given)) as served:
        yield served


def upload(url, content, name="hostile"):
    return httpx.post(
        f"{url}/v1/datasets", params={"name": name}, content=content, headers=TYPE, timeout=60
    )


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_upload_is_refused_in_its_words(case, url, database):
    make, field, expected, received = CASES[case]
    answer = upload(url, make())
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert expected in error["expected"]
    assert received in str(error["received"])
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM datasets").fetchone() == (0,)


def test_what_the_corpus_spoils_is_sound(url):
    assert upload(url, npz(), "sound").status_code == 201
    assert httpx.delete(f"{url}/v1/datasets/sound").status_code == 204


@pytest.mark.parametrize("case", ["bomb", "claims_exabytes", "shape_huge", "header_of_gigabytes"])
def test_what_claims_to_be_large_is_refused_before_it_takes_memory(case):
    file = io.BytesIO(CASES[case][0]())
    tracemalloc.start()
    try:
        with pytest.raises(SpecError):
            inspect(file, max_bytes=2**20)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 2**20
