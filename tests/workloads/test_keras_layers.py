"""The list of layers: nothing on it takes code, and every key has a check and a default."""

import re
from typing import get_args

import pytest

from app.domain.errors import SpecError
from app.workloads.keras_fields import ACTIVATIONS, REQUIRED, fields
from app.workloads.keras_layers import COMMON, INSTEAD, KNOWN
from app.workloads.layers import Kind

# whatever loads code or files, or calls another layer, must never come on the list
NEVER = {
    *("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "Wrapper", "Layer"),
    *("RNN", "Bidirectional", "TimeDistributed", "StackedRNNCells", "Pipeline", "Sequential"),
    *("Functional", "Model", "StringLookup", "TextVectorization", "IntegerLookup", "Hashing"),
}
LEAST = {
    "Activation": {"activation": "relu"},
    "Rescaling": {"scale": 2},
    "Dropout": {"rate": 0.1},
    "SpatialDropout1D": {"rate": 0.1},
    "SpatialDropout2D": {"rate": 0.1},
    "GaussianNoise": {"stddev": 0.1},
    "GaussianDropout": {"rate": 0.1},
    "Reshape": {"target_shape": [4]},
    "Permute": {"dims": [1]},
    "RepeatVector": {"n": 3},
    "Dense": {"units": 4},
    "Conv1D": {"filters": 4, "kernel_size": [3]},
    "Conv2D": {"filters": 4, "kernel_size": [3, 3]},
    "DepthwiseConv2D": {"kernel_size": [3, 3]},
    "SeparableConv2D": {"filters": 4, "kernel_size": [3, 3]},
    "AveragePooling1D": {"pool_size": [2]},
    "AveragePooling2D": {"pool_size": [2, 2]},
    "SimpleRNN": {"units": 4},
    "LSTM": {"units": 4},
    "GRU": {"units": 4},
    "MultiHeadAttention": {"num_heads": 2, "key_dim": 4},
}


def test_nothing_that_runs_code_is_on_the_list():
    assert not NEVER & set(KNOWN)
    assert set(KNOWN) < set(get_args(Kind))


def test_what_stands_for_an_operation_is_on_the_list():
    assert "Lambda" not in INSTEAD
    for words in INSTEAD.values():
        named = re.findall(r"layers\.(\w+)", words)
        assert named
        assert set(named) <= set(KNOWN)
        assert set(re.findall(r'Activation\("(\w+)"\)', words)) <= set(ACTIVATIONS)


@pytest.mark.parametrize("kind", KNOWN)
def test_the_least_config(kind):
    config = {"name": "a", **LEAST.get(kind, {})}
    options = fields("here", config, {**KNOWN[kind].fields, **COMMON})
    passed = {key for key, field in KNOWN[kind].fields.items() if field.passed}
    assert set(options) == passed


@pytest.mark.parametrize("kind", LEAST)
def test_what_has_no_default_is_missed(kind):
    needed = {key for key, field in KNOWN[kind].fields.items() if field.default is REQUIRED}
    assert needed == set(LEAST[kind])
    with pytest.raises(SpecError) as caught:
        fields("here", {}, KNOWN[kind].fields)
    assert {error.field for error in caught.value.errors} == {f"here.{key}" for key in needed}


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("key", ["function", "module", "layer", "cell", "__class__"])
def test_no_key_that_could_carry_code(kind, key):
    assert key not in KNOWN[kind].fields
    with pytest.raises(SpecError, match="only the fields"):
        fields("here", {**LEAST.get(kind, {}), key: None}, KNOWN[kind].fields)


@pytest.mark.parametrize(
    ("kind", "key"),
    [(kind, key) for kind, known in KNOWN.items() for key in known.fields],
)
@pytest.mark.parametrize("hostile", [{"class_name": "Lambda"}, "os.system", [["__import__"]]])
def test_no_key_takes_an_object_a_path_or_code(kind, key, hostile):
    with pytest.raises(SpecError):
        fields("here", {**LEAST.get(kind, {}), key: hostile}, KNOWN[kind].fields)
