"""The JSON around the layers: where models and layers come from, and how large they may be."""

from dataclasses import replace

import pytest

from app.domain.errors import FieldError, SpecError
from app.workloads import keras_json
from tests.workloads.hostile.models import ANSWER, FLAT, layer, residual, sequential


def refused(given):
    with pytest.raises(SpecError) as caught:
        keras_json.nodes(given)
    return caught.value.errors[0].field


def test_nodes_of_a_sequential_model():
    data, flat, answer = keras_json.nodes(sequential(FLAT, ANSWER))
    assert (data.kind, data.options, data.reads) == ("Input", {"shape": (28, 28)}, ())
    assert (flat.kind, flat.options, flat.reads) == ("Flatten", {}, ("data",))
    assert (answer.kind, answer.place) == ("Dense", "architecture.config.layers[2]")
    assert answer.options["kernel_initializer"] == {
        "class_name": "GlorotUniform",
        "config": {"seed": None},
    }


def test_nodes_of_a_functional_model():
    reads = {node.name: node.reads for node in keras_json.nodes(residual())}
    assert reads["sum"] == ("norm", "conv")
    assert reads["data"] == ()


@pytest.mark.parametrize(
    ("module", "registered_name"),
    [("keras", None), ("keras", "Sequential"), ("keras.models", None)],
)
def test_where_a_model_may_come_from(module, registered_name):
    model = sequential(FLAT, ANSWER) | {"module": module, "registered_name": registered_name}
    assert len(keras_json.nodes(model)) == 3


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("module", "keras.src.models.functional"),
        ("module", "keras.layers"),
        ("module", ["keras"]),
        ("registered_name", "Functional"),
        ("registered_name", "package>Sequential"),
    ],
)
def test_where_no_model_comes_from(key, value):
    assert refused(sequential(FLAT, ANSWER) | {key: value}) == f"architecture.{key}"


def test_a_layer_of_keras_2_is_refused_by_its_missing_module():
    model = sequential(FLAT, ANSWER)
    del model["config"]["layers"][1]["module"]
    assert refused(model) == "architecture.config.layers[1].module"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("conv2d_1", "a (layer conv2d_1)"),
        ("a" * 100, f"a (layer {'a' * 100})"),
        ("a" * 101, "a"),
        ("<b>", "a"),
        ("a\nb", "a"),
        ("", "a"),
        (["a"], "a"),
        (None, "a"),
    ],
)
def test_a_name_stands_beside_its_place_where_it_is_plain(name, words):
    given = {"config": {"layers": [0, {"config": {"name": name}}]}}
    place = "architecture.config.layers[1]"
    for field in (place, f"{place}.config.units"):
        error = FieldError(field=field, expected="a", received=0)
        assert keras_json.named(given, error) == replace(error, expected=words)


def test_a_name_stands_before_what_is_long():
    given = {"config": {"layers": [{"config": {"name": "mine"}}]}}
    long = "a" * (keras_json.LONG + 1)
    error = FieldError(field="architecture.config.layers[0]", expected=long, received=0)
    assert keras_json.named(given, error).expected == f"of the layer mine: {long}"


@pytest.mark.parametrize("item", [0, None, [], {}, {"config": None}, {"config": {}}])
def test_no_name_of_what_is_no_layer(item):
    error = FieldError(field="architecture.config.layers[0]", expected="a", received=0)
    assert keras_json.named({"config": {"layers": [item]}}, error) == error
    for field in ("architecture", "architecture.config.layers", "architecture.config.name"):
        other = replace(error, field=field)
        assert keras_json.named({"config": {"layers": [item]}}, other) == other


@pytest.mark.parametrize(
    ("module", "class_name", "words"),
    [
        ("keras.src.ops.numpy", "Add", "layers.Add()([a, b]) for a + b"),
        ("keras.src.ops.numpy", "Subtract", "layers.Subtract()([a, b]) for a - b"),
        ("keras.src.ops.numpy", "Multiply", "layers.Multiply()([a, b]) for a * b"),
        ("keras.src.ops.nn", "Relu", "layers.ReLU()(x)"),
        ("keras.src.ops.nn", "Gelu", 'layers.Activation("gelu")(x)'),
        ("keras.src.activations.activations", "ReLU", "layers.ReLU()(x)"),
        ("keras.src.ops.numpy", "Matmul", "none does the same"),
        ("keras.src.ops.numpy", ["Add"], "none does the same"),
        ("keras.ops.numpy", None, "none does the same"),
    ],
)
def test_an_operation_is_refused_with_the_layer_that_stands_for_it(module, class_name, words):
    operation = layer(class_name, "operation") | {"module": module, "registered_name": class_name}
    with pytest.raises(SpecError) as caught:
        keras_json.nodes(sequential(operation, FLAT, ANSWER))
    (error,) = caught.value.errors
    assert error.field == "architecture.config.layers[1]"
    assert words in error.expected
    assert error.expected.endswith("instead of an operator or keras.ops")
    assert error.received.startswith(f"{module}.")


def test_depth_and_number_of_values():
    deepest = [0]
    for _ in range(keras_json.DEEPEST - 3):
        deepest = [deepest]
    model = sequential(FLAT, ANSWER) | {"build_config": deepest}
    assert len(keras_json.nodes(model)) == 3
    assert refused(model | {"build_config": [[[deepest]]]}) == "architecture"
    assert refused(model | {"build_config": [0] * keras_json.MOST_VALUES}) == "architecture"


def test_an_object_that_holds_itself():
    model = sequential(FLAT, ANSWER)
    model["build_config"] = model
    assert refused(model) == "architecture"


@pytest.mark.parametrize("shape", [[1], [28, 28], [None] * 7, [2**27]])
def test_shapes_of_inputs(shape):
    data, *_ = keras_json.nodes(sequential(ANSWER, shape=shape))
    assert data.options == {"shape": tuple(shape)}


@pytest.mark.parametrize("shape", [[], [0], [True], [1.0], ["1"], [2**27 + 1], [1] * 8, [[1]]])
def test_no_shapes_of_inputs(shape):
    place = "architecture.config.layers[0].config.batch_shape"
    assert refused(sequential(ANSWER, shape=shape)).startswith(place)


def test_a_merge_of_a_sequential_model_has_too_few_inputs():
    assert refused(sequential(layer("Add", "a"), ANSWER)) == (
        "architecture.config.layers[1].inbound_nodes"
    )
