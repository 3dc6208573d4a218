"""The recurrent network of the source: an LSTM that answers at every step.

Base (width 1, depth 1): an LSTM of 64 units, then a dense layer with softmax over the classes, at
every step; the label is that of the sequence, and the last step's answer counts. Width multiplies
the units; depth is the number of LSTMs on top of each other.
"""

from app.workloads.family import Family, sequence
from app.workloads.layers import Layer, Shape, dense, entry, lstm, scaled

UNITS = 64  # the source's LSTM


def layers(shape: Shape, classes: int, width: float, depth: int) -> tuple[Layer, ...]:
    """The layers for a sequence of (steps, features)."""
    chain = [entry(shape)]
    for block in range(1, depth + 1):
        chain.append(lstm(f"lstm{block}", chain[-1], scaled(UNITS, width)))
    chain.append(dense("classes", chain[-1], classes, "softmax"))
    return tuple(chain)


FAMILY = Family(
    name="rnn",
    title="Recurrent neural network (LSTM)",
    description=(
        "An LSTM of 64 units that gives its output at every step, then softmax at every step; the "
        "last step's answer counts. Width multiplies the units; depth is the number of LSTMs on "
        "top of each other."
    ),
    concept="recurrent neural network (RNN): h_t = f(W x_t + U h_(t-1) + b)",
    expected_shape="a sequence [steps, features]",
    input_shape=sequence,
    layers=layers,
)
