"""The arithmetic of single layers, against figures worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.workloads.layers import (
    add,
    average_over_image,
    average_over_time,
    batch_normalization,
    conv2d,
    dense,
    dot,
    entry,
    every_other,
    flatten,
    gru,
    layer_normalization,
    lstm,
    max_pool,
    positions,
    relu,
    scaled,
    self_attention,
    softmax_over_time,
)

IMAGE = entry((28, 28, 1))
SERIES = entry((100, 10))


@pytest.mark.parametrize(
    ("layer", "output_shape", "parameters", "forward", "backward"),
    [
        # 26·26·32 outputs of 9 multiply-adds; on the data, the weights' gradient alone
        (conv2d("a", IMAGE, 32), (26, 26, 32), 320, 389_376, 389_376),
        (conv2d("a", IMAGE, 32, "same"), (28, 28, 32), 320, 451_584, 451_584),
        # the second of the source: 11·11·64 outputs of 288 multiply-adds
        (
            conv2d("a", max_pool("p", conv2d("b", IMAGE, 32)), 64),
            (11, 11, 64),
            18_496,
            4_460_544,
            8_921_088,
        ),
        # without a bias; the last, odd row and column are kept
        (
            conv2d("a", entry((11, 10, 3)), 8, "same", strides=2, bias=False),
            (6, 5, 8),
            216,
            12_960,
            12_960,
        ),
        (conv2d("a", entry((11, 10, 3)), 8, strides=2), (5, 4, 8), 224, 8_640, 8_640),
        (conv2d("a", relu("r", IMAGE), 5, kernel=1), (28, 28, 5), 10, 7_840, 7_840),
        (every_other("a", entry((11, 10, 3))), (6, 5, 3), 0, 0, 0),
        (average_over_image("a", entry((7, 7, 64))), (64,), 0, 0, 0),
        (average_over_time("a", SERIES), (10,), 0, 0, 0),
        (batch_normalization("a", entry((7, 7, 64)), 0.9), (7, 7, 64), 128, 0, 0),
        (layer_normalization("a", SERIES), (100, 10), 20, 0, 0),
        (relu("a", SERIES), (100, 10), 0, 0, 0),
        (positions("a", SERIES), (100, 10), 0, 0, 0),
        (max_pool("a", entry((11, 11, 64))), (5, 5, 64), 0, 0, 0),
        (flatten("a", entry((5, 5, 64))), (1600,), 0, 0, 0),
        (dense("a", entry((1600,)), 128), (128,), 204_928, 409_600, 409_600),
        (dense("a", SERIES, 64), (100, 64), 704, 128_000, 128_000),
        (dense("a", dense("b", SERIES, 64), 1), (100, 1), 65, 12_800, 25_600),
        # 100 steps of 2·256·(10 + 64); backward once more for the state, not for the data
        (lstm("a", SERIES, 64), (100, 64), 19_200, 3_788_800, 7_065_600),
        (lstm("a", lstm("b", SERIES, 64), 64), (100, 64), 33_024, 6_553_600, 13_107_200),
        # three gates on the input and the state, and two biases
        (gru("a", SERIES, 64), (100, 64), 14_592, 2_841_600, 5_299_200),
        (gru("a", gru("b", SERIES, 64), 64), (100, 64), 24_960, 4_915_200, 9_830_400),
        # four products with 64 × 64, two of 100 × 100 for all heads together
        (
            self_attention("a", dense("b", SERIES, 64), 4),
            (100, 64),
            16_640,
            3_276_800 + 2_560_000,
            2 * (3_276_800 + 2_560_000),
        ),
        # on the data itself query, key and value have no gradient for their input
        (
            self_attention("a", SERIES, 2),
            (100, 10),
            440,
            80_000 + 400_000,
            2 * (80_000 + 400_000) - 60_000,
        ),
        (add("a", SERIES, SERIES), (100, 10), 0, 0, 0),
        (softmax_over_time("a", entry((100, 1))), (100, 1), 0, 0, 0),
        (dot("a", entry((100, 1)), dense("s", SERIES, 64)), (1, 64), 0, 12_800, 25_600),
    ],
)
def test_arithmetic(layer, output_shape, parameters, forward, backward):
    assert layer.output_shape == output_shape
    assert layer.parameters == parameters
    assert (layer.flops_forward, layer.flops_backward) == (forward, backward)


def test_a_layer_names_what_it_reads():
    assert add("a", SERIES, dense("b", SERIES, 10)).inputs == ("input", "b")


@pytest.mark.parametrize(
    ("base", "width", "units"),
    [(64, 1, 64), (64, 0.25, 16), (64, 1.5, 96), (64, 0.001, 1), (1, 2.5, 2), (1, 3.5, 4)],
)
def test_width_rounds_half_to_even_and_is_never_zero(base, width, units):
    assert scaled(base, width) == units


@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple),
    units=st.integers(1, 9),
)
def test_the_data_in_a_row_have_no_gradient(shape, units):
    row = flatten("a", entry(shape))
    first = dense("b", row, units)
    second = dense("c", first, units)
    assert row.untrained
    assert first.flops_backward == first.flops_forward
    assert second.flops_backward == 2 * second.flops_forward


@given(side=st.integers(1, 40), channels=st.integers(1, 5), filters=st.integers(1, 5))
def test_a_strided_kernel_of_one_is_a_kernel_of_one_on_every_other_value(side, channels, filters):
    image = entry((side, side + 1, channels))
    strided = conv2d("a", image, filters, "same", kernel=1, strides=2)
    plain = conv2d("a", every_other("b", image), filters, "same", kernel=1)
    assert strided.output_shape == plain.output_shape
    assert strided.parameters == plain.parameters
    assert strided.flops_forward == plain.flops_forward
