"""The JSON of an own model, compared key by key with what Keras 3 writes for a known model."""

import re
from dataclasses import replace
from typing import Any

from app.domain.errors import FieldError, SpecError
from app.workloads.keras_fields import Field, anything, fields, float32, mapping, only, refuse
from app.workloads.keras_graph import NAME, Node, in_order, layer_name, reads
from app.workloads.keras_layers import COMMON, INSTEAD, KNOWN, LARGEST_SIDE, MOST_AXES, OPERATIONS
from app.workloads.layers import Kind

PLACE = "architecture"
_LAYER = re.compile(r"architecture\.config\.layers\[(\d+)\]")
MOST_LAYERS = 1_024
MOST_VALUES = 250_000  # of the whole JSON; 1,024 layers have about 60,000
DEEPEST = 24  # Keras nests 11 deep
MOST_ERRORS = 20
LONG = 200  # characters of what was expected, behind which nobody looks for a name

MODULES = {
    "Sequential": ("keras", "keras.models", "keras.src.models.sequential"),
    "Functional": ("keras", "keras.models", "keras.src.models.functional"),
}
LAYER_MODULES = ("keras.layers",)
ENVELOPE = {
    "module": Field(check=anything),  # these two by `_origin`
    "registered_name": Field(check=anything, default=None),
    "class_name": Field(check=anything),
    "config": Field(check=mapping),
    "build_config": Field(check=anything, default=None),  # shapes, which follow from the data's
}
MODEL = {**ENVELOPE, "compile_config": Field(check=anything, default=None)}
MODEL_CONFIG = {**COMMON, "layers": Field(check=anything)}
SEQUENTIAL = {**MODEL_CONFIG, "build_input_shape": Field(check=anything, default=None)}
FUNCTIONAL = {
    **MODEL_CONFIG,
    "input_layers": Field(check=anything),
    "output_layers": Field(check=anything),
}
LAYER_OF_A_GRAPH = {
    **ENVELOPE,
    "name": Field(check=anything),
    "inbound_nodes": Field(check=anything),
}
FALSE = Field(check=only(False, "false"), default=False)
INPUT = {
    "name": Field(check=anything),
    "batch_shape": Field(check=anything),
    "dtype": Field(check=float32, default="float32"),
    "sparse": FALSE,
    "ragged": FALSE,
    "optional": FALSE,
}


def nodes(given: Any) -> list[Node]:
    """The layers of a model in the order of computation, the input first and the output last.

    Args:
        given: the JSON of `model.to_json()`, parsed.

    Raises:
        SpecError: something is in it that is not on the explicit list; each field is named.
    """
    _bounded(given)
    if not isinstance(given, dict):
        refuse(PLACE, "the object that json.loads(model.to_json()) gives", given)
    class_name = given.get("class_name")
    if not isinstance(class_name, str) or class_name not in MODULES:
        refuse(f"{PLACE}.class_name", "Sequential or Functional, of Keras 3", class_name)
    fields(PLACE, given, MODEL)
    _origin(PLACE, given, MODULES[class_name], (None, class_name))
    config, graph = given["config"], class_name == "Functional"
    fields(f"{PLACE}.config", config, FUNCTIONAL if graph else SEQUENTIAL)
    found = _nodes(f"{PLACE}.config.layers", config["layers"], graph=graph)
    return in_order(f"{PLACE}.config", found, config if graph else None)


def named(given: Any, error: FieldError) -> FieldError:
    """The error of a layer with the layer's name beside its place, where it has a plain one.

    The name comes first where what was expected is long.

    Args:
        given: the JSON that the error is about.
        error: of any field of it.
    """
    if not (at := _LAYER.match(error.field)):
        return error
    layer = given["config"]["layers"][int(at[1])]
    config = layer.get("config") if isinstance(layer, dict) else None
    name = config.get("name") if isinstance(config, dict) else None
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return error
    if len(error.expected) > LONG:
        return replace(error, expected=f"of the layer {name}: {error.expected}")
    return replace(error, expected=f"{error.expected} (layer {name})")


def _bounded(given: Any) -> None:
    """Walk through all values without recursion, and refuse what is too large or too deep."""
    waiting, seen = [(given, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        inside = _inside(value)
        seen += len(inside)
        if depth > DEEPEST:
            refuse(PLACE, f"at most {DEEPEST} levels of lists and objects", value)
        if seen > MOST_VALUES:
            refuse(PLACE, f"at most {MOST_VALUES:,} values", value)
        waiting += [(item, depth + 1) for item in inside]


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            refuse(PLACE, "keys that are texts, as in JSON", value)
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []


def _origin(
    place: str, given: dict[str, Any], modules: tuple[str, ...], registered: tuple[str | None, ...]
) -> None:
    """Where the class comes from: Keras itself, and no registration of anybody's."""
    if (module := given.get("module")) not in modules:
        refuse(f"{place}.module", " or ".join(modules), module)
    if (name := given.get("registered_name")) not in registered:
        refuse(f"{place}.registered_name", "null: custom objects are not supported", name)


def _nodes(place: str, given: Any, *, graph: bool) -> list[Node]:
    """The layers, each checked by itself.

    Raises:
        SpecError: the first of all fields that do not hold.
    """
    if not isinstance(given, list | tuple) or not 2 <= len(given) <= MOST_LAYERS:
        refuse(place, f"a list of 2 to {MOST_LAYERS:,} layers, the InputLayer among them", given)
    found: list[Node] = []
    errors: list[FieldError] = []
    for index, item in enumerate(given):
        before = found[-1].name if found else None
        try:
            found.append(_node(f"{place}[{index}]", item, graph=graph, before=before))
        except SpecError as error:
            errors += error.errors
    if errors:
        raise SpecError(*errors[:MOST_ERRORS])
    return found


def _node(place: str, given: Any, *, graph: bool, before: str | None) -> Node:
    """A layer of the list; in a sequential model it reads the one before."""
    _no_operation(place, mapping(place, given))
    kind = _kind(f"{place}.class_name", given.get("class_name"))
    fields(place, given, LAYER_OF_A_GRAPH if graph else ENVELOPE)
    _origin(place, given, LAYER_MODULES, (None,))
    name = layer_name(f"{place}.config.name", given["config"].get("name"))
    if graph and given["name"] != name:
        refuse(f"{place}.name", f"the name of its config, {name}", given["name"])
    if kind == "Input":
        return _input(place, name, given)
    known = KNOWN[kind]
    options = fields(f"{place}.config", given["config"], {**known.fields, **COMMON})
    read: tuple[str, ...] = () if before is None else (before,)
    if graph:
        read = reads(f"{place}.inbound_nodes", given["inbound_nodes"], apart=known.apart)
    if read and not known.reads[0] <= len(read) <= known.reads[1]:
        least, most = known.reads
        refuse(f"{place}.inbound_nodes", f"from {least} to {most} inputs of {kind}", len(read))
    return Node(place=place, name=name, kind=kind, options=options, reads=read)


def _no_operation(place: str, given: dict[str, Any]) -> None:
    """What an operator or a function of `keras.ops` left is no layer; some have one instead."""
    module, class_name = given.get("module"), given.get("class_name")
    if not isinstance(module, str) or not module.startswith(OPERATIONS):
        return
    name = class_name if isinstance(class_name, str) else ""
    expected = INSTEAD.get(name, "a layer (of those that are supported, none does the same)")
    refuse(place, f"{expected}, instead of an operator or keras.ops", f"{module}.{name}")


def _kind(place: str, class_name: Any) -> Kind:
    if isinstance(class_name, str) and class_name in MODULES:
        refuse(place, "a layer: models within a model are not supported", class_name)
    if class_name == "InputLayer":
        return "Input"
    for kind in KNOWN:
        if kind == class_name:
            return kind
    refuse(place, f"one of InputLayer, {', '.join(KNOWN)}", class_name)


def _input(place: str, name: str, given: dict[str, Any]) -> Node:
    fields(f"{place}.config", given["config"], INPUT)
    if given.get("inbound_nodes", []) != []:
        refuse(f"{place}.inbound_nodes", "an empty list", given["inbound_nodes"])
    shape = _sample(f"{place}.config.batch_shape", given["config"]["batch_shape"])
    return Node(place=place, name=name, kind="Input", options={"shape": shape}, reads=())


def _sample(place: str, value: Any) -> tuple[int | None, ...]:
    """The shape of one sample, from a batch's; null is an axis of any length."""
    if not isinstance(value, list | tuple) or not 2 <= len(value) <= MOST_AXES + 1:
        refuse(place, "null for the batch, then the axes of one sample", value)
    batch, *axes = value
    if batch is not None:
        refuse(f"{place}[0]", "null: the job's batch_size sets the batch", batch)
    for index, side in enumerate(axes, start=1):
        if side is not None and (type(side) is not int or not 1 <= side <= LARGEST_SIDE):
            refuse(f"{place}[{index}]", f"null, or from 1 to {LARGEST_SIDE:,}", side)
    return tuple(axes)
