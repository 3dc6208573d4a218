"""The arithmetic of single layers, against figures worked out by hand."""

import pytest

from app.workloads.layers import (
    add,
    conv2d,
    dense,
    dot,
    entry,
    flatten,
    lstm,
    max_pool,
    scaled,
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
        (max_pool("a", entry((11, 11, 64))), (5, 5, 64), 0, 0, 0),
        (flatten("a", entry((5, 5, 64))), (1600,), 0, 0, 0),
        (dense("a", entry((1600,)), 128), (128,), 204_928, 409_600, 409_600),
        (dense("a", SERIES, 64), (100, 64), 704, 128_000, 128_000),
        (dense("a", dense("b", SERIES, 64), 1), (100, 1), 65, 12_800, 25_600),
        # 100 steps of 2·256·(10 + 64); backward once more for the state, not for the data
        (lstm("a", SERIES, 64), (100, 64), 19_200, 3_788_800, 7_065_600),
        (lstm("a", lstm("b", SERIES, 64), 64), (100, 64), 33_024, 6_553_600, 13_107_200),
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
