"""JSON values from outside that are kept as they are: nothing that a database cannot hold."""

import math
from collections.abc import Iterator
from typing import Any

from pydantic_core import PydanticCustomError

Path = tuple[Any, ...]

DEEPEST = 32  # levels of lists and objects
KEY = "(key)"  # stands for an object's key in a path
KEY_SHOWN = 30
PLACE_SHOWN = 200


def storable(given: Any) -> Any:
    """The value, if it can be stored as JSON; looked through without recursion.

    Raises:
        PydanticCustomError: of type `not_storable`: it is nested too deeply, or holds a number
            that is not finite, or a text that is no Unicode or has the character U+0000; the place
            of the latter two is named.
    """
    waiting: list[tuple[Any, Path]] = [(given, ())]
    while waiting:
        value, path = waiting.pop()
        if len(path) > DEEPEST:
            raise _refused(f"at most {DEEPEST} levels of lists and objects")
        if isinstance(value, float) and not math.isfinite(value):
            raise _refused(f"finite numbers inside{_place(path)}")
        if isinstance(value, str) and not _is_text(value):
            raise _refused(f"Unicode texts without the character U+0000 inside{_place(path)}")
        waiting += [(item, (*path, key)) for key, item in _inside(value)]
    return given


def _inside(value: Any) -> Iterator[tuple[str | int, Any]]:
    """The values of a list or an object, and an object's keys, each with where it stands."""
    if isinstance(value, dict):
        yield from ((KEY, key) for key in value)
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from enumerate(value)


def _place(path: Path) -> str:
    """A path in words, in plain ASCII and short, whatever the keys are; nothing of the whole."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_plain(part)}" for part in path)
    place = "".join(parts).removeprefix(".")[:PLACE_SHOWN]
    return f", also at {place}" if place else ""


def _plain(key: Any) -> str:
    return ascii(str(key)[:KEY_SHOWN])[1:-1]


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _refused(expected: str) -> PydanticCustomError:
    return PydanticCustomError("not_storable", "{expected}", {"expected": expected})
