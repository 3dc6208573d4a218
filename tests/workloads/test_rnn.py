"""The source's recurrent network, layer by layer."""

from app.workloads import rnn


def test_base_is_the_sources_network():
    layers = rnn.layers((100, 10), 10, 1, 1)
    assert [(layer.name, layer.output_shape, layer.parameters) for layer in layers] == [
        ("input", (100, 10), 0),
        ("lstm1", (100, 64), 19_200),
        ("classes", (100, 10), 650),
    ]


def test_depth_stacks_lstms():
    layers = rnn.layers((28, 28), 10, 0.5, 3)
    assert [layer.inputs for layer in layers[1:]] == [
        ("input",),
        ("lstm1",),
        ("lstm2",),
        ("lstm3",),
    ]
    assert [layer.output_shape for layer in layers[1:4]] == [(28, 32)] * 3
