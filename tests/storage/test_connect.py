"""Connections by URL, and the sentences for when there is none."""

import psycopg
import pytest

from app.domain.errors import FullError, UnavailableError, UsageError
from app.storage.connect import connect, parameters, unavailable

URL = "postgresql://me:hidden@db.example:6543/it"


def test_what_the_url_says_comes_before_what_we_say() -> None:
    assert parameters(URL)["connect_timeout"] == 10
    assert parameters(f"{URL}?connect_timeout=3")["connect_timeout"] == "3"


def test_a_wrong_url_is_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        parameters("postgresql://me:hidden@[")
    assert "hidden" not in str(caught.value)


def test_the_sentence_names_the_database_and_not_the_password() -> None:
    error = unavailable(URL, psycopg.OperationalError("first\nno route for hidden"))
    assert str(error).startswith("the database 'it' at db.example:6543 does not answer (no route")
    assert "hidden" not in str(error)
    assert not isinstance(error, FullError)


def test_a_full_disk_is_called_so() -> None:
    error = unavailable(URL, psycopg.errors.DiskFull("could not extend file\nHINT: Check"))
    assert isinstance(error, FullError)
    assert "is full (could not extend file): free some space" in str(error)
    assert "does not answer" not in str(error)


async def test_nobody_there() -> None:
    with pytest.raises(UnavailableError, match="127.0.0.1:1 does not answer"):
        await connect("postgresql://127.0.0.1:1/it")
