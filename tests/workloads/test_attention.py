"""The source's attention, layer by layer."""

from app.workloads import attention


def test_base_is_the_sources_attention_with_a_head():
    layers = attention.layers((100, 10), 10, 1, 1)
    assert [
        (layer.name, layer.inputs, layer.output_shape, layer.parameters) for layer in layers
    ] == [
        ("input", (), (100, 10), 0),
        ("h1", ("input",), (100, 64), 704),
        ("s", ("input",), (100, 64), 704),
        ("W", ("h1",), (100, 1), 65),
        ("V", ("s",), (100, 1), 65),
        ("score", ("W", "V"), (100, 1), 0),
        ("weights", ("score",), (100, 1), 0),
        ("context", ("weights", "s"), (1, 64), 0),
        ("flatten", ("context",), (64,), 0),
        ("classes", ("flatten",), (10,), 650),
    ]


def test_depth_stacks_tanh_layers_and_s_reads_what_the_last_reads():
    layers = {layer.name: layer for layer in attention.layers((28, 28), 10, 1, 3)}
    assert [layers[name].inputs for name in ("h1", "h2", "h3")] == [("input",), ("h1",), ("h2",)]
    assert layers["s"].inputs == ("h2",)
    assert layers["W"].inputs == ("h3",)
    assert {layers[name].options["activation"] for name in ("h1", "h2", "h3")} == {"tanh"}
