"""The API command: what keeps it from starting comes out as the error that it was."""

import socket

import pytest

from app.cli import api
from app.domain.errors import UnavailableError


def starts_with(error):
    async def app(scope, receive, send):
        assert scope["type"] == "lifespan"
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "Traceback of it"})
        raise error

    return app


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


def test_an_error_raised_on_purpose_comes_out_and_is_not_logged(listener, caplog):
    with pytest.raises(UnavailableError, match="no database"):
        api.run(starts_with(UnavailableError("no database")), listener)
    assert "Traceback" not in caplog.text


def test_any_other_error_is_logged_and_ends_the_process(listener, caplog):
    with pytest.raises(SystemExit):
        api.run(starts_with(ValueError("a fault of ours")), listener)
    assert "Traceback of it" in caplog.text
