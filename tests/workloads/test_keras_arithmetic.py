"""Shapes, weights and FLOPs of Keras' layers, against figures worked out by hand."""

import pytest

from app.domain.errors import SpecError
from app.workloads.keras_arithmetic import axis
from app.workloads.keras_fields import fields
from app.workloads.keras_layers import KNOWN
from app.workloads.layers import Layer

IMAGE, SERIES, ROW = (28, 28, 3), (12, 5), (40,)


def source(shape, **given):
    return Layer(name="x", kind="Input", inputs=(), output_shape=shape, **given)


def figures(kind, *shapes, **config):
    known = KNOWN[kind]
    options = fields("here.config", config, known.fields)
    return known.figures("here", options, tuple(source(shape) for shape in shapes))


@pytest.mark.parametrize(
    ("kind", "config", "shapes", "output", "parameters", "forward"),
    [
        ("Dense", {"units": 7}, [ROW], (7,), 41 * 7, 2 * 40 * 7),
        ("Dense", {"units": 7, "use_bias": False}, [SERIES], (12, 7), 35, 2 * 12 * 35),
        # 26·26·8 outputs of 27 multiply-adds
        ("Conv2D", {"filters": 8, "kernel_size": 3}, [IMAGE], (26, 26, 8), 224, 2 * 5408 * 27),
        (
            "Conv2D",
            {"filters": 8, "kernel_size": [3, 5], "strides": [2, 3], "padding": "same"},
            [IMAGE],
            (14, 10, 8),
            8 * 46,
            2 * 1120 * 45,
        ),
        (
            "Conv2D",
            {"filters": 2, "kernel_size": 3, "dilation_rate": 4, "use_bias": False},
            [IMAGE],
            (20, 20, 2),
            54,
            2 * 800 * 27,
        ),
        (
            "Conv2D",
            {"filters": 6, "kernel_size": 3, "groups": 3},
            [IMAGE],
            (26, 26, 6),
            60,
            2 * 4056 * 9,
        ),
        ("Conv1D", {"filters": 4, "kernel_size": 3}, [SERIES], (10, 4), 64, 2 * 40 * 15),
        (
            "Conv1D",
            {"filters": 4, "kernel_size": 3, "padding": "causal", "strides": 5},
            [SERIES],
            (3, 4),
            64,
            2 * 12 * 15,
        ),
        # 26·26·6 outputs of 9 multiply-adds
        (
            "DepthwiseConv2D",
            {"kernel_size": 3, "depth_multiplier": 2},
            [IMAGE],
            (26, 26, 6),
            60,
            2 * 4056 * 9,
        ),
        # the same, then 26·26·4 of 6
        (
            "SeparableConv2D",
            {"filters": 4, "kernel_size": 3, "depth_multiplier": 2},
            [IMAGE],
            (26, 26, 4),
            54 + 28,
            2 * 4056 * 9 + 2 * 2704 * 6,
        ),
        ("MaxPooling2D", {}, [(5, 4, 3)], (2, 2, 3), 0, 0),
        ("MaxPooling2D", {"padding": "same"}, [(5, 4, 3)], (3, 2, 3), 0, 0),
        ("AveragePooling2D", {"pool_size": [5, 1], "strides": 1}, [(5, 4, 3)], (1, 4, 3), 0, 0),
        ("MaxPooling1D", {"pool_size": 3, "strides": [2]}, [SERIES], (5, 5), 0, 0),
        ("GlobalMaxPooling1D", {}, [SERIES], (5,), 0, 0),
        ("GlobalAveragePooling2D", {"keepdims": True}, [IMAGE], (1, 1, 3), 0, 0),
        ("BatchNormalization", {}, [IMAGE], (28, 28, 3), 6, 0),
        ("BatchNormalization", {"axis": 3, "scale": False}, [IMAGE], (28, 28, 3), 3, 0),
        ("LayerNormalization", {"axis": [-1], "center": False}, [SERIES], (12, 5), 5, 0),
        ("Flatten", {}, [IMAGE], (2352,), 0, 0),
        ("Reshape", {"target_shape": [4, -1, 2]}, [ROW], (4, 5, 2), 0, 0),
        ("Permute", {"dims": [3, 1, 2]}, [(4, 5, 6)], (6, 4, 5), 0, 0),
        ("RepeatVector", {"n": 3}, [ROW], (3, 40), 0, 0),
        ("ZeroPadding1D", {"padding": [1, 2]}, [SERIES], (15, 5), 0, 0),
        ("ZeroPadding2D", {"padding": [[1, 2], [0, 4]]}, [IMAGE], (31, 32, 3), 0, 0),
        ("UpSampling2D", {"size": [2, 3]}, [IMAGE], (56, 84, 3), 0, 0),
        ("Add", {}, [SERIES, (12, 1), (1, 5)], (12, 5), 0, 0),
        ("Concatenate", {}, [SERIES, (12, 7)], (12, 12), 0, 0),
        ("Concatenate", {"axis": 1}, [SERIES, (3, 5), SERIES], (27, 5), 0, 0),
        ("Softmax", {"axis": 1}, [SERIES], (12, 5), 0, 0),
        # 12 steps; each gate reads 5 values and the state
        ("SimpleRNN", {"units": 6}, [SERIES], (6,), 12 * 6, 12 * 2 * 6 * 11),
        ("LSTM", {"units": 6}, [SERIES], (6,), 12 * 24, 12 * 2 * 24 * 11),
        (
            "LSTM",
            {"units": 6, "use_bias": False, "return_sequences": True},
            [SERIES],
            (12, 6),
            11 * 24,
            12 * 2 * 24 * 11,
        ),
        ("GRU", {"units": 6}, [SERIES], (6,), 13 * 18, 12 * 2 * 18 * 11),
        ("GRU", {"units": 6, "reset_after": False}, [SERIES], (6,), 12 * 18, 12 * 2 * 18 * 11),
        # two heads of 3 for query and key, of 4 for value, from 5 and 7 features; 12 steps to 9
        (
            "MultiHeadAttention",
            {"num_heads": 2, "key_dim": 3, "value_dim": 4},
            [SERIES, (9, 7)],
            (12, 5),
            6 * 6 + 8 * 6 + 8 * 8 + 9 * 5,
            2 * (12 * 5 * 6 + 9 * 7 * 6 + 9 * 7 * 8 + 12 * 9 * (6 + 8) + 12 * 8 * 5),
        ),
    ],
)
def test_by_hand(kind, config, shapes, output, parameters, forward):
    found = figures(kind, *shapes, **config)
    assert (found.output, found.parameters, found.forward) == (output, parameters, forward)


@pytest.mark.parametrize(
    ("kind", "config", "shapes", "inner", "to_input"),
    [
        ("Dense", {"units": 7}, [ROW], 0, 560),
        ("LSTM", {"units": 6}, [SERIES], 12 * 2 * 24 * 6, 12 * 2 * 24 * 5),
        (
            "SeparableConv2D",
            {"filters": 4, "kernel_size": 3},
            [IMAGE],
            2 * 26 * 26 * 3 * 4,
            2 * 26 * 26 * 3 * 9,
        ),
        (
            "MultiHeadAttention",
            {"num_heads": 2, "key_dim": 3},
            [SERIES, SERIES],
            2 * (2 * 12 * 12 * 6 + 12 * 6 * 5),
            3 * 2 * 12 * 5 * 6,
        ),
        ("Add", {}, [ROW, ROW], 0, 0),
    ],
)
def test_backward_by_hand(kind, config, shapes, inner, to_input):
    found = figures(kind, *shapes, **config)
    assert (found.inner, found.to_input) == (inner, to_input)


def test_an_attention_computes_no_gradient_of_the_data():
    known = KNOWN["MultiHeadAttention"]
    options = fields("here", {"num_heads": 1, "key_dim": 4}, known.fields)
    trained, data = source(SERIES), source((9, 7), untrained=True)
    assert known.figures("here", options, (trained, data)).to_input == 2 * 12 * 5 * 4
    assert known.figures("here", options, (data, trained, trained)).to_input == 2 * 2 * 12 * 5 * 4


def test_what_recurrent_layers_and_attentions_hold():
    steps_of_lstm = figures("LSTM", SERIES, units=6, return_sequences=True)
    assert steps_of_lstm.kept + 12 * 6 == 7 * 12 * 6
    last_of_lstm = figures("LSTM", SERIES, units=6)
    assert last_of_lstm.kept + 6 == 7 * 12 * 6
    plain = figures("MultiHeadAttention", SERIES, SERIES, num_heads=2, key_dim=3)
    dropped = figures("MultiHeadAttention", SERIES, SERIES, num_heads=2, key_dim=3, dropout=0.5)
    assert plain.kept == 4 * 12 * 6 + 2 * 2 * 144
    assert dropped.kept - plain.kept == 2 * 144


@pytest.mark.parametrize(
    ("kind", "config", "shapes", "field"),
    [
        ("Conv2D", {"filters": 1, "kernel_size": 3}, [SERIES], "here"),
        ("Conv2D", {"filters": 1, "kernel_size": 29}, [IMAGE], "here"),
        ("Conv1D", {"filters": 1, "kernel_size": 3, "dilation_rate": 6}, [SERIES], "here"),
        (
            "Conv2D",
            {"filters": 1, "kernel_size": 3, "strides": 2, "dilation_rate": 2},
            [IMAGE],
            "here.config.dilation_rate",
        ),
        ("DepthwiseConv2D", {"kernel_size": 1, "strides": [1, 2]}, [IMAGE], "here.config.strides"),
        ("Conv2D", {"filters": 4, "kernel_size": 1, "groups": 3}, [IMAGE], "here.config.groups"),
        ("Conv2D", {"filters": 4, "kernel_size": 1, "groups": 2}, [IMAGE], "here.config.groups"),
        ("MaxPooling1D", {"pool_size": 13}, [SERIES], "here"),
        ("LSTM", {"units": 3}, [ROW], "here"),
        ("RepeatVector", {"n": 3}, [SERIES], "here"),
        ("SpatialDropout1D", {"rate": 0.1}, [IMAGE], "here"),
        ("Add", {}, [ROW, SERIES], "here"),
        ("Add", {}, [(4, 3), (4, 2)], "here"),
        ("Concatenate", {}, [SERIES, (11, 5)], "here"),
        ("Concatenate", {}, [SERIES, ROW], "here"),
        ("Concatenate", {"axis": 0}, [SERIES, SERIES], "here.config.axis"),
        ("BatchNormalization", {"axis": 1}, [IMAGE], "here.config.axis"),
        ("Softmax", {"axis": 3}, [SERIES], "here.config.axis"),
        ("Reshape", {"target_shape": [-1, 3]}, [ROW], "here.config.target_shape"),
        ("Reshape", {"target_shape": [41, -1]}, [ROW], "here.config.target_shape"),
        ("Reshape", {"target_shape": [-1, -1]}, [(1,)], "here.config.target_shape"),
        ("Permute", {"dims": [1]}, [SERIES], "here.config.dims"),
        (
            "MultiHeadAttention",
            {"num_heads": 1, "key_dim": 1},
            [SERIES, SERIES, (11, 5)],
            "here",
        ),
    ],
)
def test_what_does_not_fit(kind, config, shapes, field):
    with pytest.raises(SpecError) as caught:
        figures(kind, *shapes, **config)
    assert caught.value.errors[0].field == field


@pytest.mark.parametrize(("given", "counted"), [(1, 0), (3, 2), (-1, 2), (-3, 0)])
def test_an_axis_counts_the_batch(given, counted):
    assert axis("here", given, 3) == counted


@pytest.mark.parametrize("given", [0, 4, -4])
def test_no_axis(given):
    with pytest.raises(SpecError, match="from 1 to 3"):
        axis("here", given, 3)


@pytest.mark.parametrize(
    ("kind", "given", "shape", "refused"),
    [
        ("Conv2D", {"kernel_size": 1, "strides": 2}, (8, 8, 15), True),
        ("Conv1D", {"kernel_size": 1, "strides": 2}, (8, 3), True),
        ("Conv2D", {"kernel_size": 1, "strides": 2}, (8, 8, 16), False),
        ("Conv2D", {"kernel_size": 1, "strides": 1}, (8, 8, 3), False),
        ("Conv2D", {"kernel_size": 3, "strides": 2}, (8, 8, 3), False),
    ],
)
def test_a_convolution_whose_gradient_writes_beyond_its_memory_is_refused(
    kind, given, shape, refused
):
    if not refused:
        figures(kind, shape, filters=4, **given)
        return
    with pytest.raises(SpecError) as caught:
        figures(kind, shape, filters=4, **given)
    assert caught.value.errors[0].field == "here.config.strides"
    assert "needs 16 channels" in caught.value.errors[0].expected
