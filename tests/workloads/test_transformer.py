"""The Transformer encoder, layer by layer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.workloads import transformer


def test_a_block_of_the_base():
    layers = transformer.layers((100, 10), 10, 1, 1)
    assert [
        (layer.name, layer.inputs, layer.output_shape, layer.parameters) for layer in layers
    ] == [
        ("input", (), (100, 10), 0),
        ("projection", ("input",), (100, 128), 1_408),
        ("positions", ("projection",), (100, 128), 0),
        ("attention1", ("positions", "positions"), (100, 128), 66_048),
        ("attended1", ("positions", "attention1"), (100, 128), 0),
        ("attended1_norm", ("attended1",), (100, 128), 256),
        ("wide1", ("attended1_norm",), (100, 512), 66_048),
        ("narrow1", ("wide1",), (100, 128), 65_664),
        ("block1", ("attended1_norm", "narrow1"), (100, 128), 0),
        ("block1_norm", ("block1",), (100, 128), 256),
        ("average", ("block1_norm",), (128,), 0),
        ("classes", ("average",), (10,), 1_290),
    ]
    assert layers[6].options["activation"] == "relu"


def test_depth_is_the_number_of_blocks():
    layers = {layer.name: layer for layer in transformer.layers((28, 28), 10, 0.25, 3)}
    assert layers["attention2"].inputs == ("block1_norm", "block1_norm")
    assert layers["attention3"].inputs == ("block2_norm", "block2_norm")
    assert layers["average"].inputs == ("block3_norm",)


@pytest.mark.parametrize(
    ("width", "features"), [(0.001, 4), (0.25, 32), (0.3, 40), (1, 128), (1.01, 128), (4, 512)]
)
def test_width_gives_features_in_steps_of_the_heads(width, features):
    assert transformer.layers((5, 3), 2, width, 1)[1].output_shape == (5, features)


@given(width=st.floats(min_value=0, max_value=16, exclude_min=True), steps=st.integers(1, 300))
def test_every_width_divides_into_heads(width, steps):
    attention = transformer.layers((steps, 3), 2, width, 1)[3]
    features = attention.output_shape[-1]
    heads, of_a_head = (attention.options[name] for name in ("num_heads", "key_dim"))
    assert (heads, heads * of_a_head) == (4, features)
    assert attention.parameters == 4 * (features**2 + features)
    assert attention.kept >= heads * steps**2
