"""A recurrent network of gated recurrent units (Cho et al. 2014) that answers at every step.

Base (width 1, depth 1): a GRU of 64 units, as wide as the source's LSTM, then a dense layer with
softmax over the classes, at every step; the label is that of the sequence, and the last step's
answer counts. Width multiplies the units; depth is the number of GRUs on top of each other.
"""

from app.workloads.family import Family, sequence
from app.workloads.layers import Layer, Shape, dense, entry, gru, scaled

UNITS = 64  # as in the source's LSTM


def layers(shape: Shape, classes: int, width: float, depth: int) -> tuple[Layer, ...]:
    """The layers for a sequence of (steps, features)."""
    chain = [entry(shape)]
    for block in range(1, depth + 1):
        chain.append(gru(f"gru{block}", chain[-1], scaled(UNITS, width)))
    chain.append(dense("classes", chain[-1], classes, "softmax"))
    return tuple(chain)


FAMILY = Family(
    name="gru",
    title="Recurrent neural network (GRU)",
    description=(
        "A GRU of 64 units that gives its output at every step, then softmax at every step; the "
        "last step's answer counts. Width multiplies the units; depth is the number of GRUs on "
        "top of each other."
    ),
    concept="gated recurrent unit (GRU): h_t = z_t ⊙ h_(t-1) + (1 - z_t) ⊙ ĥ_t",
    expected_shape="a sequence [steps, features]",
    input_shape=sequence,
    layers=layers,
)
