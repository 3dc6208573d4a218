"""The JSON around the layers: where models and layers come from, and how large they may be."""

import pytest

from app.domain.errors import SpecError
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


@pytest.mark.parametrize("shape", [[1], [28, 28], [None] * 8, [2**27]])
def test_shapes_of_inputs(shape):
    data, *_ = keras_json.nodes(sequential(ANSWER, shape=shape))
    assert data.options == {"shape": tuple(shape)}


@pytest.mark.parametrize("shape", [[], [0], [True], [1.0], ["1"], [2**27 + 1], [1] * 9, [[1]]])
def test_no_shapes_of_inputs(shape):
    place = "architecture.config.layers[0].config.batch_shape"
    assert refused(sequential(ANSWER, shape=shape)).startswith(place)


def test_a_merge_of_a_sequential_model_has_too_few_inputs():
    assert refused(sequential(layer("Add", "a"), ANSWER)) == (
        "architecture.config.layers[1].inbound_nodes"
    )
