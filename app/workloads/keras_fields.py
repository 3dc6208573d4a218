"""How one value of a Keras layer's config is checked: a type, a range, an explicit list.

A check takes the value's place in the spec and the value as it came, and gives back a value of our
own making: a number, a flag, a word of a list, or a tuple or dict of them. Nothing that came from
the network is handed on as it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import Any, NoReturn

from app.domain.errors import FieldError, SpecError

Check = Callable[[str, Any], Any]
Options = Mapping[str, Any]

REQUIRED = object()  # the default of a field that has none
TEXT_SHOWN = 60
ITEMS_SHOWN = 8
MOST_UNKNOWN = 5
LARGEST_SHOWN = 10**18
LARGEST_SEED = 2**31 - 1
LARGEST_NUMBER = 1e6
POLICY = "float32, for the job's execution.precision sets the precision"
NO_PENALTY = "null: the training minimises the cross-entropy alone, a penalty would be lost"
NO_CONSTRAINT = "null: constraints on weights are not supported"

ACTIVATIONS = (
    *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "swish"),
    *("mish", "softplus", "softsign", "softmax", "log_softmax", "sigmoid", "log_sigmoid"),
    *("hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "tanh", "exponential"),
)


@dataclass(frozen=True, kw_only=True)
class Field:
    """One key of a layer's config.

    Attributes:
        check: gives the value that is used, or refuses.
        default: what a config without the key means, before the check.
        passed: it is an argument of Keras' class; where not, it is checked and dropped.
    """

    check: Check
    default: Any = REQUIRED
    passed: bool = True


def refuse(place: str, expected: str, received: Any) -> NoReturn:
    """Say that a value does not hold.

    Raises:
        SpecError: always.
    """
    raise SpecError(FieldError(field=place, expected=expected, received=shown(received)))


def shown(value: Any) -> Any:
    """A value in a form that is short, and that JSON and UTF-8 can carry."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return f"an object of {len(value)} fields"
    if isinstance(value, list | tuple):
        return _items(value)
    if value is None or isinstance(value, bool | int | float):
        return _scalar(value)
    return f"a value of type {type(value).__name__}"


def text(value: str) -> str:
    """A text's beginning, with what is not plain ASCII escaped."""
    return ascii(value[:TEXT_SHOWN])[1:-1] + "..." * (len(value) > TEXT_SHOWN)


def _items(value: list[Any] | tuple[Any, ...]) -> Any:
    few = len(value) <= ITEMS_SHOWN and not any(isinstance(v, dict | list | tuple) for v in value)
    return [shown(item) for item in value] if few else f"a list of {len(value)} items"


def _scalar(value: float | None) -> Any:
    if isinstance(value, float) and not isfinite(value):
        return repr(value)
    if isinstance(value, int) and not -LARGEST_SHOWN < value < LARGEST_SHOWN:
        return f"a whole number of {value.bit_length()} bits"
    return value


def fields(place: str, given: Any, known: Mapping[str, Field]) -> dict[str, Any]:
    """Check an object key by key; what is missing takes its default.

    Returns:
        The values that are passed on, each as its check gives it.

    Raises:
        SpecError: a field for every key that is missing or does not hold, and for the first that
            are unknown.
    """
    config = mapping(place, given)
    others = islice((key for key in config if key not in known), MOST_UNKNOWN)
    errors = [_unknown(place, key, known) for key in others]
    passed = {}
    for key, field in known.items():
        try:
            value = _checked(f"{place}.{key}", config.get(key, field.default), field)
        except SpecError as error:
            errors += error.errors
        else:
            if field.passed:
                passed[key] = value
    if errors:
        raise SpecError(*errors)
    return passed


def _unknown(place: str, key: str, known: Mapping[str, Field]) -> FieldError:
    expected = f"only the fields {', '.join(known)}"
    return FieldError(field=place, expected=expected, received=text(key))


def _checked(place: str, value: Any, field: Field) -> Any:
    if value is REQUIRED:
        refuse(place, "a value", None)
    return field.check(place, value)


def mapping(place: str, value: Any) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        refuse(place, "an object", value)
    return value


def anything(_: str, __: Any) -> None:
    """A value that nobody reads, whatever it is."""


def flag(place: str, value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        refuse(place, "true or false", value)
    return value


def whole(low: int, high: int) -> Check:
    """A check for a whole number in a range; true and 3.0 are none."""

    def check(place: str, value: Any) -> int:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or not low <= value <= high:
            refuse(place, f"a whole number from {low:,} to {high:,}", value)
        return int(value)

    return check


def number(low: float = -LARGEST_NUMBER, high: float = LARGEST_NUMBER) -> Check:
    """A check for a finite number in a range."""

    def check(place: str, value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:  # NaN is in no range
            refuse(place, f"a number from {low:g} to {high:g}", value)
        return float(value)

    return check


def optional(check: Check) -> Check:
    """The check, or null."""

    def either(place: str, value: Any) -> Any:
        return None if value is None else check(place, value)

    return either


def one_of(*words: str) -> Check:
    """A check for a word of an explicit list."""

    def check(place: str, value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            refuse(place, f"one of {', '.join(words)}", value)
        return words[words.index(value)]

    return check


def only(constant: Any, expected: str) -> Check:
    """A check for a single value, and a sentence that says why it has to be that one."""

    def check(place: str, value: Any) -> Any:
        if type(value) is not type(constant) or value != constant:
            refuse(place, expected, value)
        return constant

    return check


def sides(axes: int, low: int, high: int) -> Check:
    """A check for a whole number for each axis; one alone stands for all of them."""
    side = whole(low, high)

    def check(place: str, value: Any) -> tuple[int, ...]:
        if isinstance(value, list | tuple) and len(value) == axes:
            return tuple(side(f"{place}[{i}]", item) for i, item in enumerate(value))
        if isinstance(value, list | tuple | dict | str):
            refuse(place, f"a whole number, or a list of {axes}", value)
        return (side(place, value),) * axes

    return check


def pairs(axes: int, high: int) -> Check:
    """A check for how much is added before and after, for each axis."""
    pair = sides(2, 0, high)

    def check(place: str, value: Any) -> tuple[tuple[int, ...], ...]:
        if not isinstance(value, list | tuple) or len(value) != axes:
            refuse(place, f"{axes} lists of 2 whole numbers", value)
        return tuple(pair(f"{place}[{i}]", item) for i, item in enumerate(value))

    return check


def activation(place: str, value: Any) -> str:
    """The name of an activation that works value by value, or of a softmax; null is none at all."""
    return "linear" if value is None else str(one_of(*ACTIVATIONS)(place, value))


def float32(place: str, value: Any) -> None:
    """The dtype float32, as a word or as Keras' policy of that name; the job's own one counts."""
    if isinstance(value, dict):
        fields(place, value, POLICY_FIELDS)
    else:
        only("float32", POLICY)(place, value)


POLICY_FIELDS = {
    "module": Field(check=only("keras", "keras")),
    "class_name": Field(check=only("DTypePolicy", "DTypePolicy")),
    "config": Field(
        check=lambda place, value: fields(
            place, value, {"name": Field(check=only("float32", POLICY))}
        )
    ),
    "registered_name": Field(check=only(None, "null"), default=None),
}

# -- initialisers ---------------------------------------------------------------------------------

SEED = Field(check=optional(whole(0, LARGEST_SEED)), default=None)
NO_AXES = Field(check=only(None, "null"), default=None, passed=False)
FANS = {"seed": SEED, "input_axes": NO_AXES, "output_axes": NO_AXES}
MEAN = Field(check=number(), default=0.0)
STDDEV = Field(check=number(0), default=0.05)

INITIALIZERS: dict[str, dict[str, Field]] = {
    "Zeros": {},
    "Ones": {},
    "Constant": {"value": Field(check=number(), default=0.0)},
    "RandomNormal": {"mean": MEAN, "stddev": STDDEV, "seed": SEED},
    "TruncatedNormal": {"mean": MEAN, "stddev": STDDEV, "seed": SEED},
    "RandomUniform": {
        "minval": Field(check=number(), default=-0.05),
        "maxval": Field(check=number(), default=0.05),
        "seed": SEED,
    },
    "GlorotNormal": FANS,
    "GlorotUniform": FANS,
    "HeNormal": FANS,
    "HeUniform": FANS,
    "LecunNormal": FANS,
    "LecunUniform": FANS,
    "VarianceScaling": {
        "scale": Field(check=number(1e-6), default=1.0),
        "mode": Field(check=one_of("fan_in", "fan_out", "fan_avg"), default="fan_in"),
        "distribution": Field(
            check=one_of("normal", "truncated_normal", "untruncated_normal", "uniform"),
            default="truncated_normal",
        ),
        **FANS,
    },
    "Orthogonal": {"gain": Field(check=number(), default=1.0), "seed": SEED},
}
OF_VECTORS = tuple(name for name in INITIALIZERS if name != "Orthogonal")  # which needs a matrix


def initializer(*names: str) -> Check:
    """A check for an initialiser of an explicit list, as Keras' object or by its name."""

    def check(place: str, value: Any) -> dict[str, Any]:
        given = {"class_name": value, "config": {}} if isinstance(value, str) else value
        class_name = mapping(place, given).get("class_name")
        name = str(one_of(*names)(f"{place}.class_name", class_name))
        return fields(place, given, _initializer_fields(name))

    return check


def _initializer_fields(name: str) -> dict[str, Field]:
    def config(place: str, value: Any) -> dict[str, Any]:
        return fields(place, value, INITIALIZERS[name])

    module = "keras.initializers"
    return {
        "module": Field(check=only(module, module), default=module, passed=False),
        "class_name": Field(check=only(name, name)),
        "config": Field(check=config),
        "registered_name": Field(check=only(None, "null"), default=None, passed=False),
    }
