"""The memory estimate is the formula that its module states."""

from dataclasses import replace

import pytest

from app.workloads import resnet, rnn
from app.workloads.datasets import MNIST5K
from app.workloads.layers import Layer, add, dense, entry
from app.workloads.memory import (
    EVALUATION_BATCH,
    PROCESS_BYTES,
    held,
    memory_bytes,
    own_memory_bytes,
)

LAYERS = (entry((10,)), dense("a", entry((10,)), 4))  # 44 parameters, 4 kept values, 14 held
DATA_BYTES = 12 * 5000 * 28 * 28


def test_the_formula():
    expected = PROCESS_BYTES + 28 * 44 + 4 * 1000 * (4 + 14) + DATA_BYTES
    assert memory_bytes(LAYERS, MNIST5K, 1000) == expected


def test_a_small_batch_needs_what_evaluation_needs():
    expected = PROCESS_BYTES + 28 * 44 + 4 * EVALUATION_BATCH * 14 + DATA_BYTES
    assert memory_bytes(LAYERS, MNIST5K, 1) == expected


def test_the_formula_for_own_models():
    def estimate(layers, compiled=False):
        return own_memory_bytes(layers, MNIST5K, 1000, compiled=compiled)

    plain = memory_bytes(LAYERS, MNIST5K, 1000)
    assert estimate(LAYERS) == round(1.4 * (plain + 2 * 2_000_000))
    assert estimate(LAYERS, compiled=True) == round(1.4 * (plain + 2 * 2_000_000 + 150_000_000))
    for more, bytes_ in ({"kind": "GRU"}, 40_000_000), ({"options": {"groups": 2}}, 150_000_000):
        layers = (LAYERS[0], replace(LAYERS[1], **more))
        assert estimate(layers) == round(1.4 * (plain + 2 * 2_000_000 + bytes_))


def test_huge_shapes_are_only_numbers():
    huge = Layer(name="a", kind="flatten", inputs=(), output_shape=(4096**3,), kept=4096**3)
    assert memory_bytes((huge,), MNIST5K, 1_000_000) > 8 * 10**6 * 4096**3


def test_evaluation_holds_a_value_until_its_last_reader_is_done():
    data = entry((10,))
    one = dense("one", data, 7)
    two = dense("two", one, 5)
    three = dense("three", two, 7)
    assert held((data, one, two, three)) == 10 + 7
    total = add("total", one, three)  # `one` waits for it: 7 + 5 + 7 at `three`, 7 + 7 + 7 here
    assert held((data, one, two, three, total)) == 7 + 7 + 7


def test_a_layer_that_reads_one_twice_lets_it_go_once():
    data = entry((10,))
    assert held((data, add("double", data, data), dense("last", data, 1))) == 10 + 10 + 1


@pytest.mark.parametrize("family", [rnn, resnet])
def test_evaluation_holds_no_more_in_a_deeper_network(family):
    shape = (28, 28, 1) if family is resnet else (28, 28)
    shallow, deep = (family.layers(shape, 10, 1, depth) for depth in (2, 6))
    assert held(deep) == held(shallow)
    assert memory_bytes(deep, MNIST5K, 1) > memory_bytes(shallow, MNIST5K, 1)
