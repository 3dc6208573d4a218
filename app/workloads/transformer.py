"""A Transformer encoder (Vaswani et al. 2017) that classifies sequences.

Base (width 1, depth 2): every step goes through a dense layer to d = 128 features, sinusoidal
positions are added, then come blocks with the normalization after the sum, as in the paper:
self-attention of 4 heads with biases, sum, layer normalization; dense 4d with ReLU, dense d, sum,
layer normalization. The mean over time goes to a dense layer with softmax over the classes. There
is no dropout. Width multiplies d, in steps of 4, so that every head has the same number of
features: d = 4 · round(32 · width), at least 4. Depth is the number of blocks.
"""

from collections.abc import Mapping

from app.domain.specs import ExplicitSize, SizeName
from app.workloads.family import Family, sequence
from app.workloads.layers import (
    Layer,
    Shape,
    add,
    average_over_time,
    dense,
    entry,
    layer_normalization,
    positions,
    scaled,
    self_attention,
)

HEADS = 4
FEATURES_OF_A_HEAD = 32
WIDENING = 4  # of the two dense layers in a block, as in the paper
SIZES: Mapping[SizeName, ExplicitSize] = {
    "tiny": ExplicitSize(width=0.25, depth=1),
    "small": ExplicitSize(width=0.5, depth=2),
    "base": ExplicitSize(width=1, depth=2),
    "medium": ExplicitSize(width=2, depth=4),
    "large": ExplicitSize(width=4, depth=6),
}


def layers(shape: Shape, classes: int, width: float, depth: int) -> tuple[Layer, ...]:
    """The layers for a sequence of (steps, features)."""
    data = entry(shape)
    projected = dense("projection", data, HEADS * scaled(FEATURES_OF_A_HEAD, width))
    chain = [data, projected, positions("positions", projected)]
    for block in range(1, depth + 1):
        chain += _attended(block, chain[-1])
        chain += _transformed(block, chain[-1])
    chain.append(average_over_time("average", chain[-1]))
    chain.append(dense("classes", chain[-1], classes, "softmax"))
    return tuple(chain)


def _attended(block: int, source: Layer) -> tuple[Layer, ...]:
    """Self-attention, added to what it reads, normalized."""
    attention = self_attention(f"attention{block}", source, HEADS)
    total = add(f"attended{block}", source, attention)
    return attention, total, layer_normalization(f"attended{block}_norm", total)


def _transformed(block: int, source: Layer) -> tuple[Layer, ...]:
    """Two dense layers at every step, added to what they read, normalized."""
    features = source.output_shape[-1]
    wide = dense(f"wide{block}", source, WIDENING * features, "relu")
    narrow = dense(f"narrow{block}", wide, features)
    total = add(f"block{block}", source, narrow)
    return wide, narrow, total, layer_normalization(f"block{block}_norm", total)


FAMILY = Family(
    name="transformer",
    title="Transformer encoder",
    description=(
        "Dense to 128 features a step, sinusoidal positions, blocks of self-attention with 4 heads "
        "and two dense layers (512 with ReLU, 128), each added and normalized; the mean over time "
        "goes to softmax. Width multiplies the features, in steps of 4; depth is the number of "
        "blocks."
    ),
    concept="Transformer: softmax(Q Kᵀ / √d_k) V in every head of every block",
    expected_shape="a sequence [steps, features]",
    input_shape=sequence,
    layers=layers,
    sizes=SIZES,
)
