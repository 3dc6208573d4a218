"""The source's convolutional network, layer by layer."""

import pytest

from app.workloads import cnn


def test_base_is_the_sources_network():
    layers = cnn.layers((28, 28, 1), 10, 1, 1)
    assert [(layer.name, layer.output_shape, layer.parameters) for layer in layers] == [
        ("input", (28, 28, 1), 0),
        ("conv1_1", (26, 26, 32), 320),
        ("pool1", (13, 13, 32), 0),
        ("conv2_1", (11, 11, 64), 18_496),
        ("pool2", (5, 5, 64), 0),
        ("flatten", (1600,), 0),
        ("hidden", (128,), 204_928),
        ("classes", (10,), 1_290),
    ]


def test_depth_adds_convolutions_that_keep_the_size():
    layers = {layer.name: layer for layer in cnn.layers((10, 10, 3), 2, 0.5, 3)}
    convolutions = ["conv1_1", "conv1_2", "conv1_3", "conv2_1", "conv2_2", "conv2_3"]
    assert [name for name in layers if name.startswith("conv")] == convolutions
    assert {layers[name].output_shape for name in convolutions[:3]} == {(8, 8, 16)}
    assert {layers[name].output_shape for name in convolutions[3:]} == {(2, 2, 32)}
    assert layers["pool2"].output_shape == (1, 1, 32)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((28, 28), (28, 28, 1)),
        ((100, 10), (100, 10, 1)),
        ((10, 10, 3), (10, 10, 3)),
        ((9, 28), None),
        ((28, 9, 3), None),
        ((784,), None),
    ],
)
def test_images_of_at_least_ten_by_ten_fit(shape, expected):
    assert cnn.input_shape(shape) == expected
