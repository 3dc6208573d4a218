"""An own model as layer data, from the JSON that Keras' `model.to_json()` writes, by reading alone.

Keras deserialises nothing that came from the network: every class, key and value is compared with
the explicit list in `keras_layers`, and the layer data carry values of our own making. Sequential
and functional models of Keras 3 are read, with one input, one output and every layer called once.
What `compile_config` says is not read: optimiser, loss and precision are the job's.
"""

from collections.abc import Iterable, Mapping
from itertools import count
from math import prod
from typing import Any

from app.domain.errors import SpecError
from app.workloads.keras_arithmetic import Figures, axis
from app.workloads.keras_fields import refuse
from app.workloads.keras_graph import Node
from app.workloads.keras_json import named, nodes
from app.workloads.keras_layers import KNOWN
from app.workloads.layers import Layer, Shape

MOST_PARAMETERS = 10**9
MOST_OUTPUT_VALUES = 2**27  # of one layer for one sample
MOST_FLOPS = 10**15  # of one sample
SOFTMAX_AXES = 4  # with the batch 5: oneDNN's kernel takes no more
ANSWERS = ("Dense", "Conv1D")  # whose outputs are taken as logits where they have no activation


def layers(given: Any, shape: Shape, classes: int) -> tuple[Layer, ...]:
    """The layers of an own model for data of a shape, the data's entry first.

    The model's input takes the data's shape, or the same values with a last channel of 1 more or
    less, or in one row; an axis of null takes the data's. The output is a softmax over the classes,
    once or at every step; where the last layer is a Dense or Conv1D without activation, its outputs
    are logits, and a Softmax is added.

    Args:
        given: the JSON of `model.to_json()`, parsed.
        shape: of one sample of the data.
        classes: of the data.

    Raises:
        SpecError: the model is not one that can be trained here; each field is named, and the layer
            that it is of.
    """
    try:
        return _layers(given, shape, classes)
    except SpecError as error:
        raise SpecError(*(named(given, field) for field in error.errors)) from error


def _layers(given: Any, shape: Shape, classes: int) -> tuple[Layer, ...]:
    entry, *rest = nodes(given)
    made = {entry.name: _entry(entry, shape)}
    parameters = flops = 0
    for node in rest:
        layer = made[node.name] = _layer(node, tuple(made[name] for name in node.reads))
        parameters += layer.parameters
        flops += layer.flops_forward + layer.flops_backward
        _affordable(node.place, prod(layer.output_shape), parameters, flops)
    return (*made.values(), *_answer(rest[-1], made, classes))


def _entry(node: Node, shape: Shape) -> Layer:
    """The data in the shape that the model's input takes."""
    wanted = node.options["shape"]
    for adapted in _forms(shape):
        if len(adapted) == len(wanted) and all(
            side in {None, had} for side, had in zip(wanted, adapted, strict=True)
        ):
            return Layer(
                name=node.name, kind="Input", inputs=(), output_shape=adapted, untrained=True
            )
    forms = " or ".join(str([None, *form]).replace("None", "null") for form in _forms(shape))
    refuse(f"{node.place}.config.batch_shape", f"{forms}, for the data", [None, *wanted])


def _forms(shape: Shape) -> list[Shape]:
    """The shapes in which a sample can be handed over without moving a value."""
    channel = shape[:-1] if shape[-1] == 1 and len(shape) > 1 else (*shape, 1)
    return list(dict.fromkeys((shape, channel, (prod(shape),))))


def _layer(node: Node, sources: tuple[Layer, ...]) -> Layer:
    figures = KNOWN[node.kind].figures(node.place, node.options, sources)
    _computable(node, figures.output)
    untrained = all(source.untrained for source in sources)
    return Layer(
        name=node.name,
        kind=node.kind,
        inputs=node.reads,
        output_shape=figures.output,
        parameters=figures.parameters,
        flops_forward=figures.forward,
        flops_backward=_backward(figures, untrained),
        kept=prod(figures.output) + figures.kept,
        options=node.options,
        untrained=untrained and figures.parameters == 0,
    )


def _backward(figures: Figures, untrained: bool) -> int:
    """The weights' gradients cost what the products cost; the input's only where it is needed."""
    return figures.forward + figures.inner + (0 if untrained else figures.to_input)


def _computable(node: Node, output: Shape) -> None:
    """What TensorFlow has no kernel for is refused before a job fails of it."""
    softmax = node.kind == "Softmax" or node.options.get("activation") == "softmax"
    if softmax and len(output) > SOFTMAX_AXES:
        refuse(node.place, f"at most {SOFTMAX_AXES} axes for one sample in a softmax", output)


def _affordable(place: str, values: int, parameters: int, flops: int) -> None:
    """What no host could train is refused before anything is allocated."""
    if values > MOST_OUTPUT_VALUES:
        refuse(place, f"an output of at most {MOST_OUTPUT_VALUES:,} values for one sample", values)
    if parameters > MOST_PARAMETERS:
        refuse(place, f"at most {MOST_PARAMETERS:,} parameters up to here", parameters)
    if flops > MOST_FLOPS:
        refuse(place, f"at most {MOST_FLOPS:,} FLOPs for one sample up to here", flops)


def _answer(node: Node, made: Mapping[str, Layer], classes: int) -> tuple[Layer, ...]:
    """Nothing where the model ends with a softmax over the classes; a Softmax for logits.

    Raises:
        SpecError: it ends otherwise.
    """
    last = made[node.name]
    if len(last.output_shape) > 2 or last.output_shape[-1] != classes:
        expected = f"an output of [{classes}] or [steps, {classes}], a value for each class"
        refuse(node.place, expected, last.output_shape)
    if _is_softmax(node, last):
        return ()
    if node.kind not in ANSWERS or node.options["activation"] != "linear":
        expected = "softmax over the classes, or a last Dense without activation for logits"
        activation = node.options.get("activation")
        refuse(node.place, expected, f"{node.kind} with {activation}" if activation else node.kind)
    return (_softmax(last, made),)


def _is_softmax(node: Node, last: Layer) -> bool:
    """Its values sum to 1 over the last axis."""
    if node.kind == "Softmax":
        rank = len(last.output_shape)
        return axis(node.place, node.options["axis"], rank) == rank - 1
    return node.kind in {*ANSWERS, "Activation"} and node.options["activation"] == "softmax"


def _softmax(logits: Layer, taken: Iterable[str]) -> Layer:
    names = (f"softmax_{number}" for number in count(1))
    return Layer(
        name=next(name for name in names if name not in taken),
        kind="Softmax",
        inputs=(logits.name,),
        output_shape=logits.output_shape,
        kept=prod(logits.output_shape),
        options={"axis": -1},
    )
