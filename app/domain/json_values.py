"""JSON values from outside that are kept as they are: nothing that a database cannot hold."""

import math
from collections.abc import Iterator
from typing import Any

from pydantic_core import PydanticCustomError

DEEPEST = 32  # levels of lists and objects


def storable(given: Any) -> Any:
    """The value, if it can be stored as JSON; looked through without recursion.

    Raises:
        PydanticCustomError: of type `not_storable`: it is nested too deeply, or holds a number
            that is not finite, or a text that is no Unicode or has the character U+0000.
    """
    waiting = [(given, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            raise _refused(f"at most {DEEPEST} levels of lists and objects")
        if isinstance(value, float) and not math.isfinite(value):
            raise _refused("finite numbers inside")
        if isinstance(value, str) and not _is_text(value):
            raise _refused("Unicode texts without the character U+0000 inside")
        waiting += [(item, depth + 1) for item in _inside(value)]
    return given


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list | tuple):
        yield from value


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _refused(expected: str) -> PydanticCustomError:
    return PydanticCustomError("not_storable", "{expected}", {"expected": expected})
