"""What a client sent, read strictly; what does not hold is named in plain words as a SpecError."""

import difflib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.domain.errors import FieldError, SpecError
from app.workloads import catalogue

Model = TypeVar("Model", bound=BaseModel)
Schema = dict[str, Any]

MAX_ERRORS = 20  # a body of a megabyte can hold a hundred thousand unknown fields
MAX_TEXT = 120  # characters of a received text that an answer repeats
MAX_ITEMS = 8  # items of a received list or object that an answer repeats
MAX_DEPTH = 3  # levels of a received list or object that an answer repeats


PATTERNS = {r"^[A-Z]{3}$": "three capital letters, as FRA"}


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body holds, each field once; NaN is kept for the model to refuse.

    Raises:
        SpecError: the body is not JSON, not an object, nested too deeply, or names a field twice.
    """
    try:
        value = json.loads(body, object_pairs_hook=_unique)
    except RecursionError as error:
        raise _body_error("JSON that is not nested this deeply", body) from error
    except ValueError as error:
        raise _body_error(f"JSON ({_cut(str(error))})", body) from error
    if not isinstance(value, dict):
        raise SpecError(FieldError(field="body", expected="an object", received=shown(value)))
    return value


def validated(model: type[Model], data: Any, *, noun: str = "field") -> Model:
    """The data as this model; `noun` is what one of its fields is called.

    Raises:
        SpecError: a field does not hold; each is named, the first twenty of them.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise SpecError(*_field_errors(model.model_json_schema(), error, noun)) from error


def shown(value: Any, depth: int = MAX_DEPTH) -> Any:
    """A received value as an answer may repeat it: valid JSON, and cut where it is long."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else _cut(str(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else json.dumps(value)
    if isinstance(value, dict | list | tuple):
        return _shown_items(value, depth)
    return _cut(str(value))


def _shown_items(value: dict[Any, Any] | Sequence[Any], depth: int) -> Any:
    if depth == 0:
        return "…"
    more = len(value) > MAX_ITEMS
    if isinstance(value, dict):
        first = dict(list(value.items())[:MAX_ITEMS])
        items = {_cut(str(name)): shown(item, depth - 1) for name, item in first.items()}
        return {**items, "…": "…"} if more else items
    return [shown(item, depth - 1) for item in value[:MAX_ITEMS]] + ["…"] * more


def _cut(text: str) -> str:
    clean = text[:MAX_TEXT].encode("utf-8", "backslashreplace").decode()
    return clean if len(text) <= MAX_TEXT else f"{clean}…"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise SpecError(FieldError(field=_cut(twice), expected="a field once", received="twice"))
    return fields


def _body_error(expected: str, body: bytes) -> SpecError:
    start = body[: MAX_TEXT + 1].decode("utf-8", "backslashreplace")
    return SpecError(FieldError(field="body", expected=expected, received=_cut(start)))


def _field_errors(schema: Schema, error: ValidationError, noun: str) -> list[FieldError]:
    found: dict[str, FieldError] = {}
    for item in error.errors(include_url=False, include_context=False):
        named = _field_error(schema, item, noun)
        found.setdefault(named.field, named)  # the branches of a union fail one by one
        if len(found) == MAX_ERRORS:
            break
    return list(found.values())


def _field_error(schema: Schema, item: ErrorDetails, noun: str) -> FieldError:
    kind, loc, received = item["type"], item["loc"], item["input"]
    if kind == "extra_forbidden":
        path, place = locate(schema, loc[:-1])
        path, expected = [*path, loc[-1]], f"no such {noun}{_hint(schema, place, loc[-1])}"
    elif loc and loc[-1] == "[key]":
        path, place = locate(schema, loc[:-2])
        pattern = next(iter(place["patternProperties"]))
        path, expected = [*path, loc[-2]], f"names matching {pattern}"
    else:
        path, place = locate(schema, loc)
        model_type = path == ["model_type"]
        expected = catalogue.model_types() if model_type else expectation(schema, place)
    if kind == "not_storable":
        expected = item["msg"]
    name = ".".join(_cut(str(part)) for part in path) or "body"
    value = None if kind == "missing" else shown(received)
    return FieldError(field=name, expected=expected, received=value)


def locate(schema: Schema, loc: Sequence[int | str]) -> tuple[list[int | str], Schema]:
    """The named parts of a pydantic location, without the tags of unions, and the schema there."""
    path: list[int | str] = []
    place = schema
    for part in loc:
        inner = next((s for b in _branches(schema, place) if (s := _step(b, part))), None)
        if inner is not None:
            path.append(part)
            place = inner
    return path, place


def _branches(schema: Schema, place: Schema) -> Iterator[Schema]:
    if "$ref" in place:
        place = schema["$defs"][place["$ref"].rpartition("/")[2]]
    options = place.get("anyOf") or place.get("oneOf")
    if options is None:
        yield place
    for option in options or ():
        yield from _branches(schema, option)


def _step(branch: Schema, part: int | str) -> Schema | None:
    if isinstance(part, int):
        return branch.get("items")
    named: Schema | None = branch.get("properties", {}).get(part)
    return named or next(iter(branch.get("patternProperties", {}).values()), None)


def _hint(schema: Schema, place: Schema, name: int | str) -> str:
    known = [field for branch in _branches(schema, place) for field in branch.get("properties", ())]
    close = difflib.get_close_matches(str(name)[:MAX_TEXT], known, n=1, cutoff=0.75)
    return f" (did you mean {close[0]}?)" if close else ""


def expectation(schema: Schema, place: Schema) -> str:
    """What the schema at this place takes, in plain words."""
    options = [_words(branch) for branch in _branches(schema, place)]
    only = len(options) == 1 and ("const" in place or place.get("type") == "null")
    return f"{options[0]} (nothing else is available yet)" if only else ", or ".join(options)


def _words(branch: Schema) -> str:
    if "const" in branch:
        return _value(branch["const"])
    if "enum" in branch:
        return f"one of {', '.join(_value(value) for value in branch['enum'])}"
    if "type" not in branch:
        return "a value"
    return _WORDS[branch["type"]](branch)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _range(branch: Schema) -> str:
    signs = {"exclusiveMinimum": ">", "minimum": "≥", "maximum": "≤"}
    bounds = [f"{sign} {branch[key]}" for key, sign in signs.items() if key in branch]
    return f" {' and '.join(bounds)}" if bounds else ""


def _length(branch: Schema, unit: str, noun: str) -> str:
    low, high = branch.get(f"min{unit}"), branch.get(f"max{unit}")
    if low is not None and high is not None:
        return f" of {low} to {high}{noun}"
    return "" if high is None else f" of at most {high}{noun}"


def _pattern(branch: Schema) -> str:
    return f" matching {branch['pattern']}" if "pattern" in branch else ""


def _members(branch: Schema) -> str:
    if "properties" in branch:
        return f" with {', '.join(branch['properties'])}"
    return _length(branch, "Properties", " entries")


def _each(items: Schema) -> str:
    """What each item of a list is, where a few words say it."""
    return f", each {_words(items)}" if "type" in items or "enum" in items else ""


_WORDS: dict[str, Callable[[Schema], str]] = {
    "null": lambda _: "null",
    "boolean": lambda _: "true or false",
    "integer": lambda branch: f"an integer{_range(branch)}",
    "number": lambda branch: f"a finite number{_range(branch)}",
    "string": lambda branch: (
        PATTERNS.get(branch.get("pattern", ""))
        or f"text{_length(branch, 'Length', ' characters')}{_pattern(branch)}"
    ),
    "array": lambda branch: (
        f"a list{_length(branch, 'Items', ' items')}{_each(branch.get('items', {}))}"
    ),
    "object": lambda branch: f"an object{_members(branch)}",
}
