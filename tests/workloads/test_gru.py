"""The network of gated recurrent units, layer by layer."""

from app.workloads import gru


def test_base_is_as_wide_as_the_sources_lstm():
    layers = gru.layers((100, 10), 10, 1, 1)
    assert [(layer.name, layer.output_shape, layer.parameters) for layer in layers] == [
        ("input", (100, 10), 0),
        ("gru1", (100, 64), 14_592),
        ("classes", (100, 10), 650),
    ]


def test_depth_stacks_grus():
    layers = gru.layers((28, 28), 10, 0.5, 3)
    assert [layer.inputs for layer in layers[1:]] == [("input",), ("gru1",), ("gru2",), ("gru3",)]
    assert [layer.output_shape for layer in layers[1:4]] == [(28, 32)] * 3
