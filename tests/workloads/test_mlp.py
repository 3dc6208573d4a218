"""The multilayer perceptron, layer by layer."""

import pytest

from app.workloads import mlp


def test_base_has_two_hidden_layers():
    layers = mlp.layers((28, 28), 10, 1, 2)
    assert [(layer.name, layer.output_shape, layer.parameters) for layer in layers] == [
        ("input", (28, 28), 0),
        ("flatten", (784,), 0),
        ("hidden1", (256,), 200_960),
        ("hidden2", (256,), 65_792),
        ("classes", (10,), 2_570),
    ]
    assert [layer.options.get("activation") for layer in layers[2:]] == ["relu", "relu", "softmax"]


def test_depth_is_the_number_of_hidden_layers():
    layers = mlp.layers((7,), 3, 0.1, 4)
    assert [layer.output_shape for layer in layers[2:]] == [(26,)] * 4 + [(3,)]


@pytest.mark.parametrize("shape", [(7,), (100, 10), (17, 10, 3), (1, 1, 1)])
def test_every_shape_fits(shape):
    assert mlp.input_shape(shape) == shape
