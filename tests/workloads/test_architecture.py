"""Own models: which are read, what of them is refused, and that nothing hostile comes through."""

import copy
import json
import re
import subprocess
import sys
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.errors import SpecError
from app.workloads import architecture
from tests.workloads.hostile.models import (
    ANSWER,
    FLAT,
    called,
    functional,
    layer,
    residual,
    sequential,
)
from tests.workloads.hostile.refusals import REFUSALS

CORPUS = Path(__file__).parent / "hostile" / "architecture"
IMAGE = (28, 28)


def refusal(given, shape=IMAGE, classes=10):
    with pytest.raises(SpecError) as caught:
        architecture.layers(given, shape, classes)
    return caught.value


def read(name):
    return json.loads((CORPUS / f"{name}.json").read_text())


# -- what is read ---------------------------------------------------------------------------------


def test_a_sequential_model():
    layers = architecture.layers(sequential(FLAT, ANSWER), IMAGE, 10)
    data, flat, answer = layers
    assert [layer.name for layer in layers] == ["data", "flat", "answer"]
    assert (data.kind, data.output_shape, data.inputs) == ("Input", (28, 28), ())
    assert (flat.kind, flat.output_shape, flat.untrained) == ("Flatten", (784,), True)
    assert (answer.kind, answer.inputs, answer.parameters) == ("Dense", ("flat",), 7850)
    # no weight lies before the answer, so that the gradient of its input is not computed
    assert (answer.flops_forward, answer.flops_backward) == (15_680, 15_680)
    assert answer.options["units"] == 10
    assert answer.options["activation"] == "softmax"


def test_a_functional_model():
    layers = {layer.name: layer for layer in architecture.layers(residual(), IMAGE, 10)}
    assert layers["sum"].inputs == ("norm", "conv")
    assert layers["attend"].inputs == ("rows", "rows")
    assert layers["pool"].output_shape == (14, 14, 4)
    assert layers["rows"].output_shape == (14, 56)
    assert [layers[name].parameters for name in ("conv", "norm", "lstm")] == [40, 8, 1240]
    # 6 wide for each of query, key and value from 56, and back
    assert layers["attend"].parameters == 3 * 57 * 6 + 7 * 56


def test_layers_are_put_in_the_order_of_computation():
    model = functional(
        called(ANSWER, "b"),
        called(layer("Dense", "b", units=3), "a"),
        called(FLAT | {"config": {"name": "a"}}, "data"),
    )
    layers = architecture.layers(model, IMAGE, 10)
    assert [layer.name for layer in layers] == ["data", "a", "b", "answer"]


@pytest.mark.parametrize(
    ("data", "wanted", "taken"),
    [
        ((28, 28), [28, 28], (28, 28)),
        ((28, 28), [28, 28, 1], (28, 28, 1)),
        ((28, 28, 1), [28, 28], (28, 28)),
        ((28, 28), [784], (784,)),
        ((28, 28, 3), [2352], (2352,)),
        ((28, 28), [None, 28], (28, 28)),
        ((28, 28), [None, None, 1], (28, 28, 1)),
        ((28, 28), [None], (784,)),
        ((1,), [1], (1,)),
        ((5,), [5, 1], (5, 1)),
    ],
)
def test_forms_of_the_data(data, wanted, taken):
    layers = architecture.layers(sequential(FLAT, ANSWER, shape=wanted), data, 10)
    assert layers[0].output_shape == taken


@pytest.mark.parametrize(
    "wanted", [[28, 28, 3], [14, 56], [783], [28], [28, 28, 1, 1], [1, 28, 28]]
)
def test_no_other_form_of_the_data(wanted):
    (error,) = refusal(sequential(FLAT, ANSWER, shape=wanted)).errors
    assert error.field == "architecture.config.layers[0].config.batch_shape"
    assert error.expected == (
        "[null, 28, 28] or [null, 28, 28, 1] or [null, 784], for the data (layer data)"
    )


@pytest.mark.parametrize(
    "end",
    [
        [layer("Dense", "a", units=10, activation="softmax")],
        [layer("Dense", "a", units=10), layer("Softmax", "b")],
        [layer("Dense", "a", units=10), layer("Softmax", "b", axis=2)],
        [layer("Dense", "a", units=10), layer("Activation", "b", activation="softmax")],
        [layer("Conv1D", "a", filters=10, kernel_size=3, activation="softmax")],
    ],
)
def test_ends_in_a_softmax(end):
    layers = architecture.layers(sequential(*end), IMAGE, 10)
    assert [layer.name for layer in layers[1:]] == [layer["config"]["name"] for layer in end]


@pytest.mark.parametrize(
    "logits",
    [
        layer("Dense", "softmax_1", units=10),
        layer("Dense", "softmax_1", units=10, activation=None),
        layer("Conv1D", "softmax_1", filters=10, kernel_size=1, activation="linear"),
    ],
)
def test_a_softmax_is_added_to_logits(logits):
    *_, last, added = architecture.layers(sequential(logits), IMAGE, 10)
    assert (added.kind, added.name, added.inputs) == ("Softmax", "softmax_2", ("softmax_1",))
    assert added.output_shape == last.output_shape == (28, 10)
    assert (added.parameters, added.flops_forward, added.flops_backward) == (0, 0, 0)


def test_what_is_known_and_means_nothing_here_is_dropped():
    plain = architecture.layers(sequential(FLAT, ANSWER), IMAGE, 10)
    model = sequential(FLAT, ANSWER)
    model |= {"build_config": {"input_shape": ["os.system"]}, "compile_config": {"loss": "evil"}}
    model["config"] |= {"dtype": "float32", "build_input_shape": "evil"}
    model["config"]["layers"][2]["build_config"] = {"class_name": "Lambda"}
    model["config"]["layers"][2]["config"] |= {"trainable": True, "dtype": "float32"}
    assert architecture.layers(model, IMAGE, 10) == plain


def test_every_layer_that_is_wrong_is_named():
    wrong = [layer("Dense", f"d{i}", units=-i, kernel_regularizer={}) for i in range(30)]
    errors = refusal(sequential(*wrong, ANSWER)).errors
    assert len(errors) == 20
    assert [error.field for error in errors[:3]] == [
        "architecture.config.layers[1].config.units",
        "architecture.config.layers[1].config.kernel_regularizer",
        "architecture.config.layers[2].config.units",
    ]


@pytest.mark.parametrize(
    ("wrong", "place", "words"),
    [
        (layer("Dense", "wide", units=0), "[1].config.units", "65,536 (layer wide)"),  # by itself
        (layer("Reshape", "rows", target_shape=[5]), "[1].config.target_shape", "(layer rows)"),
        (layer("Add", "sum"), "[1].inbound_nodes", "(layer sum)"),
        (layer("Conv2D", "conv", filters=1, kernel_size=3), "[1]", "(layer conv)"),  # by its input
        (layer("Dense", "answer_1", units=10, activation="tanh"), "[3]", "(layer answer_1)"),
    ],
)
def test_a_layer_that_is_wrong_is_called_by_its_name(wrong, place, words):
    ends = place == "[3]"
    given = sequential(FLAT, layer("ReLU", "a"), wrong) if ends else sequential(wrong, FLAT, ANSWER)
    error = refusal(given).errors[0]
    assert error.field == f"architecture.config.layers{place}"
    assert words in error.expected
    assert error.expected.endswith(f"(layer {wrong['config']['name']})")


def test_the_layer_of_a_class_that_is_not_listed_is_called_before_the_list():
    (error,) = refusal(sequential(layer("Lambda", "mine"), FLAT, ANSWER)).errors
    assert error.expected.startswith("of the layer mine: one of InputLayer, Activation, ")


def test_what_is_of_no_layer_has_no_layer_s_name():
    for model in (sequential(), sequential(FLAT, FLAT, ANSWER), {}, None):
        assert "(layer" not in refusal(model).errors[0].expected


MANY = layer("Reshape", "many", target_shape=[4, 7, 2, 2, 7])
SOFTMAXES = [
    layer("Softmax", "made", axis=3),
    layer("Activation", "made", activation="softmax"),
    layer("Dense", "made", units=3, activation="softmax"),
]


@pytest.mark.parametrize("made", SOFTMAXES, ids=lambda made: made["class_name"])
def test_a_softmax_over_more_axes_than_its_kernel_takes(made):
    (error,) = refusal(sequential(MANY, made, FLAT, ANSWER)).errors
    assert error.field == "architecture.config.layers[2]"
    assert error.expected == "at most 4 axes for one sample in a softmax (layer made)"
    fewer = layer("Reshape", "many", target_shape=[4, 7, 4, 7])
    assert architecture.layers(sequential(fewer, made, FLAT, ANSWER), IMAGE, 10)


def test_more_axes_than_kernels_take():
    many = layer("Reshape", "many", target_shape=[4, 7, 2, 2, 7, 1, 1, 1])
    (error,) = refusal(sequential(many, FLAT, ANSWER)).errors
    assert error.field == "architecture.config.layers[1].config.target_shape"
    assert error.expected == "a list of 1 to 7 whole numbers (layer many)"


# -- what is refused ------------------------------------------------------------------------------


def test_every_file_of_the_corpus_has_its_refusal():
    assert sorted(path.stem for path in CORPUS.iterdir()) == sorted(REFUSALS)


@pytest.mark.parametrize("name", REFUSALS)
def test_hostile(name):
    place, expected, received = REFUSALS[name]
    error = refusal(read(name)).errors[0]
    assert error.field == f"architecture{place}"
    assert re.sub(r"^of the layer \S+: ", "", error.expected).startswith(expected)
    assert (error.received, type(error.received)) == (received, type(received))


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_short_and_can_be_sent_as_json(name):
    assert_can_be_sent(refusal(read(name)))


def assert_can_be_sent(error):
    body = json.dumps([vars(field) for field in error.errors], allow_nan=False, ensure_ascii=False)
    assert 0 < len(body.encode()) < 40_000
    assert str(error).isprintable()


def test_a_thousand_nested_models():
    model = sequential(FLAT, ANSWER)
    for _ in range(1000):
        inner, model = model, sequential(FLAT, ANSWER)
        model["config"]["layers"][1] = inner
    assert "levels" in refusal(model).errors[0].expected


def test_a_million_values():
    model = sequential(FLAT, ANSWER)
    model["compile_config"] = [0] * 1_000_000
    assert refusal(model).errors[0].expected == "at most 250,000 values"


def test_ten_thousand_layers():
    model = sequential(*[layer("Dense", f"d{i}", units=4) for i in range(10_000)], ANSWER)
    assert "2 to 1,024 layers" in refusal(model).errors[0].expected


def test_as_many_layers_as_are_allowed():
    dense = [layer("Dense", f"d{i}", units=4) for i in range(1021)]
    layers = architecture.layers(sequential(*dense, FLAT, ANSWER), IMAGE, 10)
    assert len(layers) == 1024


@pytest.mark.parametrize("junk", [b"{}", {1: 2}, {"class_name": {1, 2}}, object(), float("nan")])
def test_what_is_no_json(junk):
    refusal(junk)
    model = sequential(FLAT, ANSWER)
    model["config"]["layers"][1]["config"]["data_format"] = junk
    refusal(model)


def test_nothing_is_imported():
    script = f"""
import json, pathlib, sys
from app.domain.errors import SpecError
from app.workloads import architecture
before = set(sys.modules)
refused = 0
for path in pathlib.Path({str(CORPUS)!r}).iterdir():
    try:
        architecture.layers(json.loads(path.read_text()), (28, 28), 10)
    except SpecError:
        refused += 1
assert not {{"keras", "tensorflow", "numpy", "subprocess"}} & set(sys.modules), sys.modules
print(refused, sorted(set(sys.modules) - before))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == f"{len(REFUSALS)} []\n"


# -- anything else --------------------------------------------------------------------------------


def places(value, path=()):
    """The paths of all values."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


MODELS = [residual(), sequential(FLAT, ANSWER), read("graph_circle"), read("activation_layer")]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-2, 3),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["data", "conv", "answer", "softmax", "Conv2D", "LSTM", "same", "os.system"]),
    st.lists(st.integers(-1, 30), max_size=4),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.recursive(st.just([]), lambda inner: st.lists(inner, max_size=2), max_leaves=40),
)


@given(data=st.data(), original=st.sampled_from(MODELS), times=st.integers(1, 3))
@settings(deadline=None, max_examples=400)
def test_any_change_gives_a_plan_or_a_refusal(data, original, times):
    model = copy.deepcopy(original)
    for _ in range(times):
        model = changed(model, data)
    try:
        layers = architecture.layers(model, IMAGE, 10)
    except SpecError as error:
        assert error.errors
        assert_can_be_sent(error)
    else:
        assert layers[0].kind == "Input"
        assert layers[-1].output_shape[-1] == 10
        assert all(layer.parameters >= 0 and min(layer.output_shape) >= 1 for layer in layers)


def changed(model, data):
    """The model with a value replaced or removed, an item doubled, or a key more."""
    *above, last = data.draw(st.sampled_from([path for path in places(model) if path]))
    inside = reduce(getitem, above, model)
    how = data.draw(st.sampled_from(["replace", "remove", "more"]))
    if how == "replace":
        inside[last] = data.draw(JUNK)
    elif how == "remove":
        del inside[last]
    elif isinstance(inside, list):
        inside.insert(0, copy.deepcopy(inside[last]))
    else:
        inside[data.draw(st.text(max_size=4))] = data.draw(JUNK)
    return model
