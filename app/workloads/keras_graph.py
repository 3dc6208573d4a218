"""The graph of an own model: which layers each layer reads, and the order of computation."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from app.workloads.keras_fields import Field, Options, anything, fields, mapping, only, refuse
from app.workloads.layers import Kind

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
ATTENDED = ("query", "value", "key")


@dataclass(frozen=True, kw_only=True)
class Node:
    """A layer as the JSON states it, checked by itself.

    Attributes:
        place: in the spec.
        name: of the layer.
        kind: its class.
        options: the arguments of its class; of the input, `shape`.
        reads: names of the layers that it reads.
    """

    place: str
    name: str
    kind: Kind
    options: Options
    reads: tuple[str, ...]


def layer_name(place: str, value: Any) -> str:
    """A name that TensorFlow takes, and that no path or markup hides in.

    Raises:
        SpecError: it is none.
    """
    if not isinstance(value, str) or not NAME.fullmatch(value):
        refuse(place, "1 to 100 letters, digits, '_', '.' or '-'", value)
    return value


# -- calls ----------------------------------------------------------------------------------------


def _not_true(place: str, value: Any) -> None:
    """False, which Keras writes where nothing was given, or null."""
    if value is not None and value is not False:
        refuse(place, "false or null", value)


UNSET = Field(check=_not_true, default=None)
NO_MASK = Field(check=only(None, "null: there are no masks"), default=None)
KWARGS = {"training": UNSET, "mask": NO_MASK}
ATTENTION_KWARGS = {
    **KWARGS,
    "key": Field(check=only(None, "null, or a tensor with query and value"), default=None),
    "query_mask": NO_MASK,
    "value_mask": NO_MASK,
    "key_mask": NO_MASK,
    "attention_mask": NO_MASK,
    "use_causal_mask": UNSET,
    "return_attention_scores": UNSET,
}
CALL = {"args": Field(check=anything), "kwargs": Field(check=mapping)}
TENSOR = {
    "class_name": Field(check=only("__keras_tensor__", "__keras_tensor__")),
    "config": Field(check=mapping),
}
TENSOR_CONFIG = {
    "shape": Field(check=anything, default=None),  # follows from the layers
    "dtype": Field(check=only("float32", "float32"), default="float32"),
    "keras_history": Field(check=anything),
}


def reads(place: str, given: Any, *, apart: bool) -> tuple[str, ...]:
    """The names of the layers that a layer reads in its only call.

    Args:
        place: of `inbound_nodes` in the spec.
        given: the calls, as Keras writes them.
        apart: the inputs are arguments of their own, and not one list of tensors.

    Raises:
        SpecError: there is another number of calls, or they hold something else than tensors.
    """
    if not isinstance(given, list | tuple) or len(given) != 1:
        refuse(place, "a list of one call: layers that are called twice are not supported", given)
    fields(f"{place}[0]", given[0], CALL)
    args, kwargs = given[0]["args"], given[0]["kwargs"]
    if not isinstance(args, list | tuple):
        refuse(f"{place}[0].args", "a list of tensors", args)
    return (_apart if apart else _together)(f"{place}[0]", args, kwargs)


def _together(place: str, args: Any, kwargs: dict[str, Any]) -> tuple[str, ...]:
    """One tensor, or one list of tensors."""
    fields(f"{place}.kwargs", kwargs, KWARGS)
    if len(args) != 1:
        refuse(f"{place}.args", "one tensor, or one list of tensors", args)
    several = isinstance(args[0], list | tuple)
    tensors, inside = (args[0], f"{place}.args[0]") if several else (args, f"{place}.args")
    if not tensors:
        refuse(inside, "at least one tensor", tensors)
    return tuple(_source(f"{inside}[{i}]", tensor) for i, tensor in enumerate(tensors))


def _apart(place: str, args: Any, kwargs: dict[str, Any]) -> tuple[str, ...]:
    """Query, value and at most a key, by their places or by their names."""
    by_name = [name for name in ATTENDED[len(args) :] if kwargs.get(name) is not None]
    others = {name: value for name, value in kwargs.items() if name not in by_name}
    fields(f"{place}.kwargs", others, ATTENTION_KWARGS)
    if (*ATTENDED[: len(args)], *by_name) not in {ATTENDED[:2], ATTENDED} or len(args) > 3:
        refuse(place, "a query, a value and at most a key", [*map(str, range(len(args))), *by_name])
    tensors = {f"args[{i}]": arg for i, arg in enumerate(args)}
    tensors |= {f"kwargs.{name}": kwargs[name] for name in by_name}
    return tuple(_source(f"{place}.{inside}", tensor) for inside, tensor in tensors.items())


def _source(place: str, given: Any) -> str:
    """The name of the layer that gave a tensor."""
    fields(place, given, TENSOR)
    fields(f"{place}.config", given["config"], TENSOR_CONFIG)
    return _history(f"{place}.config.keras_history", given["config"]["keras_history"])


def _history(place: str, given: Any) -> str:
    """The layer of [layer, call, output]: the first call's first output."""
    if not isinstance(given, list | tuple) or len(given) != 3:
        refuse(place, "a layer's name, 0 and 0", given)
    name, *numbers = given
    if any(type(number) is not int or number != 0 for number in numbers):
        refuse(place, "a layer's name, 0 and 0: layers are called once", given)
    return layer_name(f"{place}[0]", name)


def _end(place: str, given: Any) -> str:
    """The only input or output of a model, which Keras writes alone or in a list."""
    listed = isinstance(given, list | tuple) and bool(given) and isinstance(given[0], list | tuple)
    if listed and len(given) != 1:
        refuse(place, "one layer: several inputs or outputs are not supported", given)
    return _history(place, given[0] if listed else given)


# -- order ----------------------------------------------------------------------------------------


def in_order(place: str, nodes: list[Node], ends: dict[str, Any] | None) -> list[Node]:
    """The layers in the order of computation, the input first and the output last.

    Args:
        place: of the model's config in the spec.
        nodes: its layers.
        ends: holds `input_layers` and `output_layers`; null of a sequential model.

    Raises:
        SpecError: a name is given twice, a layer is unknown or unused, the graph has a circle, or
            there is more than one input or output.
    """
    entry = _entry(f"{place}.layers", nodes, sequential=ends is None)
    if ends is None:
        return nodes
    ordered = _sorted(f"{place}.layers", nodes)
    _all_used(f"{place}.layers", nodes)
    for key, expected in (("input_layers", entry), ("output_layers", ordered[-1].name)):
        if (name := _end(f"{place}.{key}", ends[key])) != expected:
            refuse(f"{place}.{key}", f"the layer {expected}, as every layer is used", name)
    return ordered


def _entry(place: str, nodes: list[Node], *, sequential: bool) -> str:
    """The name of the only input; every name stands for one layer, and is known."""
    times = Counter(node.name for node in nodes)
    if len(times) != len(nodes):
        refuse(place, "a name of its own for each layer", max(times, key=lambda name: times[name]))
    entries = [node.name for node in nodes if node.kind == "Input"]
    if len(entries) != 1 or (sequential and nodes[0].kind != "Input"):
        refuse(place, "one InputLayer, which a Sequential starts with", entries)
    for node in nodes:
        if unknown := [name for name in node.reads if name not in times]:
            refuse(f"{node.place}.inbound_nodes", "inputs that are layers of the model", unknown[0])
    return entries[0]


def _sorted(place: str, nodes: list[Node]) -> list[Node]:
    """Every layer behind those that it reads (Kahn 1962), otherwise as the list has them."""
    missing = {node.name: len(set(node.reads)) for node in nodes}
    readers: dict[str, list[Node]] = {node.name: [] for node in nodes}
    for node in nodes:
        for name in set(node.reads):
            readers[name].append(node)
    ready = [node for node in nodes if not missing[node.name]]
    for node in ready:  # grows on the way
        for reader in readers[node.name]:
            missing[reader.name] -= 1
            if not missing[reader.name]:
                ready.append(reader)
    if len(ready) != len(nodes):
        refuse(place, "a graph without a circle", [name for name in missing if missing[name]])
    return ready


def _all_used(place: str, nodes: list[Node]) -> None:
    """The output alone is read by nobody."""
    read = {name for node in nodes for name in node.reads}
    if len(unread := [node.name for node in nodes if node.name not in read]) != 1:
        refuse(place, "one layer that nobody reads, the output", unread)
