"""The ASGI app for `uvicorn app.main:app`: made when it is first asked for, not by an import."""

from typing import Any


def __getattr__(name: str) -> Any:
    """Make `app` from the environment's settings, once.

    Raises:
        AttributeError: anything else is asked for.
        UsageError: a setting is out of its range.
    """
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from app import bootstrap, settings

    globals()["app"] = bootstrap.make_api(settings.load(), log_as="api")
    return globals()["app"]
