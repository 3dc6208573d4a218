"""The attention of the source: every step gets a score, and the weighted steps are summed.

Base (width 1, depth 1): h = tanh(dense 64 of x) and s = dense 64 of x; the score e = W(h) + V(s)
with W and V dense layers of 1; its softmax over time weighs s, and the sum over time goes to a
dense layer with softmax over the classes. Width multiplies h and s. Depth is the number of tanh
layers on top of each other: each reads the one below, and s reads what the last of them reads.
"""

from app.workloads.family import Family, sequence
from app.workloads.layers import (
    Layer,
    Shape,
    add,
    dense,
    dot,
    entry,
    flatten,
    scaled,
    softmax_over_time,
)

UNITS = 64  # the width of h and s


def layers(shape: Shape, classes: int, width: float, depth: int) -> tuple[Layer, ...]:
    """The layers for a sequence of (steps, features)."""
    units = scaled(UNITS, width)
    chain = [entry(shape)]
    for block in range(1, depth + 1):
        chain.append(dense(f"h{block}", chain[-1], units, "tanh"))
    below, h = chain[-2:]
    s = dense("s", below, units)
    return (*chain, s, *_attend(h, s, classes))


def _attend(h: Layer, s: Layer, classes: int) -> tuple[Layer, ...]:
    """Softmax over time of W(h) + V(s), the weighted sum of s, and the classes from it."""
    w, v = dense("W", h, 1), dense("V", s, 1)
    score = add("score", w, v)
    weights = softmax_over_time("weights", score)
    context = dot("context", weights, s)
    row = flatten("flatten", context)
    return w, v, score, weights, context, row, dense("classes", row, classes, "softmax")


FAMILY = Family(
    name="attention",
    title="Attention",
    description=(
        "h = tanh(dense 64 of x), s = dense 64 of x; softmax over time of W(h) + V(s) weighs s, "
        "and the sum goes to softmax over the classes. Width multiplies h and s; depth is the "
        "number of tanh layers on top of each other."
    ),
    concept="attention: α_t = exp(e_t) / Σ exp(e_s), a = Σ α_s s_s",
    expected_shape="a sequence [steps, features]",
    input_shape=sequence,
    layers=layers,
)
