"""The residual network for small images, layer by layer."""

import pytest

from app.workloads import resnet

BASE = resnet.layers((28, 28, 1), 10, 1, 3)


def test_base_is_resnet_20():
    weights = [layer for layer in BASE if layer.kind in {"Conv2D", "Dense"}]
    shortcuts = [layer for layer in weights if layer.name.endswith("shortcut")]
    assert (len(weights), len(shortcuts)) == (20 + 2, 2)
    # He et al. count 0.27 million
    assert round(sum(layer.parameters for layer in BASE) / 1e6, 2) == 0.27


def test_a_block_that_halves_the_image():
    names = [layer.name for layer in BASE]
    start = names.index("block2_1_1")
    block = BASE[start : names.index("block2_1_relu") + 1]
    assert [
        (layer.name, layer.inputs, layer.output_shape, layer.parameters) for layer in block
    ] == [
        ("block2_1_1", ("block1_3_relu",), (14, 14, 32), 4_608),
        ("block2_1_1_norm", ("block2_1_1",), (14, 14, 32), 64),
        ("block2_1_1_relu", ("block2_1_1_norm",), (14, 14, 32), 0),
        ("block2_1_2", ("block2_1_1_relu",), (14, 14, 32), 9_216),
        ("block2_1_2_norm", ("block2_1_2",), (14, 14, 32), 64),
        ("block2_1_shortcut_every_other", ("block1_3_relu",), (14, 14, 16), 0),
        ("block2_1_shortcut", ("block2_1_shortcut_every_other",), (14, 14, 32), 512),
        ("block2_1_shortcut_norm", ("block2_1_shortcut",), (14, 14, 32), 64),
        ("block2_1_add", ("block2_1_2_norm", "block2_1_shortcut_norm"), (14, 14, 32), 0),
        ("block2_1_relu", ("block2_1_add",), (14, 14, 32), 0),
    ]


def test_other_blocks_add_what_they_read():
    layers = {layer.name: layer for layer in BASE}
    assert layers["block1_1_add"].inputs == ("block1_1_2_norm", "entry_relu")
    assert layers["block2_2_add"].inputs == ("block2_2_2_norm", "block2_1_relu")


def test_no_convolution_has_a_stride_over_a_kernel_of_one():
    """OneDNN issue 6035: its gradient corrupts memory where there are few channels."""
    for layer in BASE:
        if layer.kind == "Conv2D":
            assert layer.options["kernel_size"] >= layer.options["strides"]


@pytest.mark.parametrize(("depth", "expected"), [(1, 8), (3, 20), (7, 44)])
def test_depth_n_has_6n_and_2_layers(depth, expected):
    layers = resnet.layers((28, 28, 1), 10, 0.25, depth)
    weights = [layer for layer in layers if layer.kind in {"Conv2D", "Dense"}]
    assert len([layer for layer in weights if "shortcut" not in layer.name]) == expected


def test_the_smallest_image_is_halved_to_one_value():
    layers = {layer.name: layer for layer in resnet.layers((4, 4, 3), 2, 0.5, 1)}
    shapes = [layers[f"block{stage}_1_relu"].output_shape for stage in (1, 2, 3)]
    assert shapes == [(4, 4, 8), (2, 2, 16), (1, 1, 32)]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((28, 28), (28, 28, 1)),
        ((100, 10), (100, 10, 1)),
        ((4, 4, 3), (4, 4, 3)),
        ((3, 28), None),
        ((28, 3, 3), None),
        ((784,), None),
    ],
)
def test_images_of_at_least_four_by_four_fit(shape, expected):
    assert resnet.input_shape(shape) == expected
