"""Families of installed packages, by the entry point group `trainwatt.workloads`."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from math import prod
from typing import Any, ParamSpec, TypeVar, get_args

from app.domain.errors import FieldError, SpecError
from app.domain.specs import ExplicitSize, JobSpec, SizeName
from app.workloads.datasets import DatasetFacts
from app.workloads.family import Family
from app.workloads.keras_fields import ACTIVATIONS, REQUIRED
from app.workloads.keras_layers import KNOWN, Fields
from app.workloads.layers import Kind, Layer, Shape

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

GROUP = "trainwatt.workloads"
MOST_TOLD = 300  # characters of what a package raised or gave
ENTRY = "Input"
KINDS = tuple(kind for kind in get_args(Kind) if kind != ENTRY)
READS: Mapping[str, tuple[int, int]] = {  # the least and the most inputs
    **{kind: known.reads for kind, known in KNOWN.items()},
    ENTRY: (0, 0),
    "Dot": (2, 2),
    "SinePositionEncoding": (1, 1),
}
WIDTHS = ("units", "filters")  # options that are the length of the output's last axis
GIVEN = ("name", "dtype")  # what the training hands to every layer itself
SOFTMAX_ENDS = ("Dense", "Conv1D", "Activation")
TEXTS = ("title", "description", "concept", "expected_shape")
BY_SCIKIT_LEARN = "svm and random_forest"
REASONS = ("flops_reason", "parameters_reason")


class UnfitError(Exception):
    """What a package brings is not what a family has; its text is a sentence's end."""

    def __init__(self, expected: str, received: object) -> None:
        """Keep both sides, the received one as text where it is no plain value."""
        plain = received is None or isinstance(received, int)
        self.expected = expected
        text = received if isinstance(received, str) else repr(received)
        self.received = received if plain else _one_line(text)
        super().__init__(f"expected {expected}, received {self.received!r}")


def families(taken: Iterable[str]) -> Mapping[str, Family]:
    """Every family that a package offers under a name that is free.

    Of one that cannot be had there is a stand-in, without sizes, that refuses every spec with the
    reason; the log has it too. A broken package must not end the service.

    Args:
        taken: names that no package can have.
    """
    had: dict[str, Family] = {}
    broken: dict[str, Family] = {}
    ours = set(taken)
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        try:
            had[point.name] = _family(point, ours | set(had))
        except (Exception, SystemExit) as error:
            reason = f"the entry point {point.value} of {_package(point)}: {_why(error)}"
            logger.warning("the workload %s is left out, %s", point.name, reason)
            logger.debug("what kept it out", exc_info=error)
            if point.name not in ours:
                broken.setdefault(point.name, _stand_in(point.name, reason))
    return {**broken, **had}


def _stand_in(name: str, reason: str) -> Family:
    """A family that fits no data and refuses every spec."""
    problem = FieldError(
        field="model_type",
        expected=f"a family that can be loaded ({reason}); mend the package and start again",
        received=name,
    )
    return Family(
        name=name,
        title=f"{name} (cannot be loaded)",
        description=f"Left out, {reason}.",
        concept="",
        expected_shape="nothing",
        input_shape=lambda _: None,
        layers=lambda *_: (),
        problems=lambda _: (problem,),
    )


def _family(point: EntryPoint, taken: set[str]) -> Family:
    """The family of an entry point, each of its functions guarded.

    Raises:
        UnfitError: it is none, or cannot be had as it is.
    """
    family: Family = point.load()
    received = type(family) if isinstance(family, Family) else family  # of a class below it
    _expect(type(family) is Family, "an app.workloads.family.Family", received)
    _expect(family.name == point.name, "the entry point's name", f"a family {family.name!r}")
    _expect(family.name not in taken, "a name that is free", "one that is taken")
    _check_data(family)

    def guarded(name: str, call: Callable[P, R], check: Callable[..., None]) -> Callable[P, R]:
        return _guarded(f"{family.name} of {_package(point)}", name, call, check)

    return replace(
        family,
        sizes=dict(family.sizes),
        input_shape=guarded("input_shape", family.input_shape, _check_input_shape),
        layers=guarded("layers", family.layers, _check_layers),
        problems=guarded("problems", family.problems, _check_problems),
        memory=family.memory and guarded("memory", family.memory, _check_memory),
    )


def _check_data(family: Family) -> None:
    """What of a family is no function's result."""
    for name in TEXTS:
        text = getattr(family, name)
        _expect(isinstance(text, str), f"a text as {name}", text)
    for name in REASONS:
        reason = getattr(family, name)
        _expect(reason is None or isinstance(reason, str), f"a text or null as {name}", reason)
    names = get_args(SizeName)
    _expect(
        set(family.sizes) == set(names),
        f"the sizes {', '.join(names)}",
        ", ".join(map(str, family.sizes)),
    )
    for name, size in family.sizes.items():
        expected = f"an app.domain.specs.ExplicitSize as the size {name}"
        _expect(isinstance(size, ExplicitSize), expected, size)
    expected = f"the trainer keras, for scikit-learn trains {BY_SCIKIT_LEARN} alone"
    _expect(family.trainer == "keras", expected, family.trainer)
    for name in ("input_shape", "layers", "problems", "memory"):
        call = getattr(family, name)
        optional = call is None and name == "memory"
        _expect(optional or callable(call), f"a function as {name}", call)


def _guarded(
    whose: str, name: str, call: Callable[P, R], check: Callable[..., None]
) -> Callable[P, R]:
    """The same function; what it raises, or gives amiss, refuses a spec, and ends nothing else."""

    def guarded(*given: P.args, **named: P.kwargs) -> R:
        try:
            result = call(*given, **named)
            check(result, *given, **named)
        except (Exception, SystemExit) as error:
            if isinstance(error, SpecError) and error.errors:
                raise
            problem = _problem(whose, name, error)
            _tell_once(f"the workload {whose} refuses a spec: {SpecError(problem)}")
            logger.debug("what refused it", exc_info=error)
            raise SpecError(problem) from error
        return result

    return guarded


def _problem(whose: str, name: str, error: BaseException) -> FieldError:
    found = error if isinstance(error, UnfitError) else UnfitError("a result", _why(error))
    expected = f"{name} of the family {whose} to give {found.expected}"
    return FieldError(field="model_type", expected=expected, received=found.received)


def _check_input_shape(given: Any, shape: Shape) -> None:
    if given is None:
        return
    _expect(_is_shape(given), "null or a tuple of whole numbers from 1 on", given)
    values = prod(shape)
    _expect(prod(given) == values, f"a shape of the data's {values:,} values", given)


def _check_layers(given: Any, shape: Shape, classes: int, _width: float, _depth: int) -> None:
    """What the training and the arithmetic take for granted of a model."""
    some = isinstance(given, tuple) and all(isinstance(layer, Layer) for layer in given)
    _expect(some and given, "a tuple of app.workloads.layers.Layer, the data's entry first", given)
    first, *rest = given
    _expect(first.kind == ENTRY, f"the data's entry first, of the kind {ENTRY}", first.kind)
    _expect(rest, "a layer after the data's entry", len(given))
    made: dict[str, Layer] = {}
    for layer in given:
        _check_layer(layer, made)
        made[layer.name] = layer
    values = prod(shape)
    _expect(
        prod(first.output_shape) == values,
        f"an entry of the data's {values:,} values",
        first.output_shape,
    )
    _check_answer(rest[-1], classes)


def _check_layer(layer: Layer, made: Mapping[str, Layer]) -> None:
    """One layer, after those that it may read."""
    named = isinstance(layer.name, str) and layer.name and "/" not in layer.name
    _expect(named and layer.name not in made, "a name for each layer, without /", layer.name)
    place = f"for the layer {layer.name} "
    kinds = KINDS if made else (ENTRY,)
    _expect(layer.kind in kinds, f"{place}one of the kinds {', '.join(kinds)}", layer.kind)
    _check_inputs(place, layer, made)
    shape = layer.output_shape
    _expect(_is_shape(shape), f"{place}an output_shape of whole numbers from 1 on", shape)
    for figure in ("parameters", "flops_forward", "flops_backward", "kept"):
        value = getattr(layer, figure)
        _expect(_is_count(value), f"{place}a whole number from 0 on as {figure}", value)
    _check_options(place, layer)


def _check_inputs(place: str, layer: Layer, made: Mapping[str, Layer]) -> None:
    known = isinstance(layer.inputs, tuple) and all(name in made for name in layer.inputs)
    _expect(known, f"{place}inputs that are names of layers before it", layer.inputs)
    least, most = READS[layer.kind]
    number = f"{least}" if least == most else f"{least} to {most}"
    _expect(
        least <= len(layer.inputs) <= most,
        f"{place}as many inputs as {layer.kind} reads ({number})",
        layer.inputs,
    )


def _check_options(place: str, layer: Layer) -> None:
    """Arguments of Keras' class: those without a default are there, and the widths are true."""
    options = layer.options
    named = isinstance(options, Mapping) and all(isinstance(name, str) for name in options)
    _expect(named, f"{place}options by name", options)
    for name in GIVEN:
        _expect(name not in options, f"{place}no option {name}: the training sets it", name)
    fields: Fields = KNOWN[layer.kind].fields if layer.kind in KNOWN else {}
    needed = [name for name, field in fields.items() if field.default is REQUIRED]
    _expect(
        set(needed) <= set(options),
        f"{place}the options {', '.join(needed)} of {layer.kind}",
        ", ".join(options),
    )
    activation = options.get("activation")
    known = not isinstance(activation, str) or activation in ACTIVATIONS
    _expect(known, f"{place}an activation of {', '.join(ACTIVATIONS)}", activation)
    last = layer.output_shape[-1]
    for name in set(WIDTHS) & set(options):
        _expect(options[name] == last, f"{place}{last} {name}, as its output_shape", options[name])


def _check_answer(last: Layer, classes: int) -> None:
    """The model ends with a softmax over the data's classes, once or at every step."""
    shape = last.output_shape
    _expect(
        len(shape) <= 2 and shape[-1] == classes,
        f"an output of [{classes}] or [steps, {classes}], a value for each class",
        shape,
    )
    activation = last.options.get("activation")
    soft = last.kind in SOFTMAX_ENDS and activation == "softmax"
    if last.kind == "Softmax":
        soft = last.options.get("axis", -1) in {-1, len(shape)}
    received = f"{last.kind} with {activation}" if activation else last.kind
    _expect(soft, "softmax over the classes as the last layer", received)


def _check_problems(given: object, _spec: JobSpec) -> None:
    some = isinstance(given, tuple) and all(isinstance(problem, FieldError) for problem in given)
    _expect(some, "a tuple of app.domain.errors.FieldError", given)


def _check_memory(given: object, _data: DatasetFacts, _spec: JobSpec) -> None:
    _expect(_is_count(given), "a whole number of bytes from 0 on", given)


def _is_shape(given: Any) -> bool:
    """A tuple of sides as JSON has them: an integer of NumPy is none."""
    return isinstance(given, tuple) and bool(given) and all(map(_is_count, given)) and all(given)


def _is_count(given: object) -> bool:
    return type(given) is int and given >= 0


def _expect(holds: object, expected: str, received: object) -> None:
    if not holds:
        raise UnfitError(expected, received)


@lru_cache(maxsize=256)
def _tell_once(sentence: str) -> None:
    """Into the log; a family may be asked with every look at the catalogue."""
    logger.info("%s", sentence)


def _package(point: EntryPoint) -> str:
    return f"the package {point.dist.name} {point.dist.version}" if point.dist else "no package"


def _why(error: BaseException) -> str:
    name = "" if isinstance(error, UnfitError) else type(error).__name__
    return _one_line(": ".join(filter(None, (name, str(error)))))


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MOST_TOLD else f"{line[:MOST_TOLD]}…"
