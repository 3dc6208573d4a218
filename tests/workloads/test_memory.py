"""The memory estimate is the formula that its module states."""

from app.workloads.datasets import MNIST5K
from app.workloads.layers import Layer, dense, entry
from app.workloads.memory import EVALUATION_BATCH, PROCESS_BYTES, memory_bytes

LAYERS = (entry((10,)), dense("a", entry((10,)), 4))  # 44 parameters, 4 kept values
DATA_BYTES = 12 * 5000 * 28 * 28


def test_the_formula():
    expected = PROCESS_BYTES + 16 * 44 + 8 * 1000 * 4 + DATA_BYTES
    assert memory_bytes(LAYERS, MNIST5K, 1000) == expected


def test_a_small_batch_needs_what_evaluation_needs():
    expected = PROCESS_BYTES + 16 * 44 + 4 * EVALUATION_BATCH * 4 + DATA_BYTES
    assert memory_bytes(LAYERS, MNIST5K, 1) == expected


def test_huge_shapes_are_only_numbers():
    huge = Layer(name="a", kind="flatten", inputs=(), output_shape=(4096**3,), kept=4096**3)
    assert memory_bytes((huge,), MNIST5K, 1_000_000) > 8 * 10**6 * 4096**3
