"""The random forest: decision trees on random samples of the data, whose mean vote is the answer.

Base (width 1, depth 1): an epoch grows 32 more trees of at most 8 levels, each on as many samples
as there are, drawn with replacement, and each split on the best of √features random features
(Breiman, Random Forests, 2001). Width multiplies the trees of an epoch, depth the levels.
"""

from app.domain.errors import FieldError
from app.domain.specs import JobSpec
from app.workloads.datasets import DatasetFacts
from app.workloads.family import SCIKIT_LEARN, Family, scikit_learn_bytes, unhonoured
from app.workloads.layers import Layer, Shape, entry, scaled

TREES = 32  # of an epoch
LEVELS = 8  # below the root

TREE_BYTES = 10_000  # the objects around a tree's nodes
NODE_BYTES = 64  # scikit-learn's node
VOTE_BYTES = 8  # of a class, in each node

HONOURED = {**SCIKIT_LEARN, "learning_rate": (JobSpec.model_fields["learning_rate"].default,)}


def layers(shape: Shape, classes: int, width: float, depth: int) -> tuple[Layer, ...]:  # noqa: ARG001
    """The data's entry alone: a forest has no layers."""
    return (entry(shape),)


def trees(spec: JobSpec) -> int:
    """How many trees an epoch grows."""
    return scaled(TREES, FAMILY.explicit(spec.size).width)


def levels(spec: JobSpec) -> int:
    """How deep a tree may grow below its root."""
    return LEVELS * FAMILY.explicit(spec.size).depth


def memory_bytes(data: DatasetFacts, spec: JobSpec) -> int:
    """The estimate of a training's peak memory, in bytes.

        process + 8 × values of the data set
        + trees of all epochs × (10,000 + nodes × (64 + 8 × classes))

    A tree of n levels has at most 2^(n+1) - 1 nodes. The other bound is half as many as there are
    training samples: without a limit of levels MNIST gave 0.28 a sample, `synthetic` 0.58. Against
    the peak of forked children the estimate was between 0.98 and 1.18 times what they used, from
    0.35 to 0.7 GB.
    """
    nodes = min((2 << levels(spec)) - 1, data.training_samples // 2)
    tree = TREE_BYTES + nodes * (NODE_BYTES + VOTE_BYTES * data.classes)
    return scikit_learn_bytes(data) + spec.epochs * trees(spec) * tree


def problems(spec: JobSpec) -> tuple[FieldError, ...]:
    """What of the spec's settings means nothing to it."""
    return unhonoured(spec, HONOURED, "scikit-learn")


FAMILY = Family(
    name="random_forest",
    title="Random forest",
    description=(
        "Decision trees, 32 more of them in each epoch, of at most 8 levels, each grown on a "
        "random sample of the data; their mean vote is the answer. Width multiplies the trees of "
        "an epoch, depth the levels."
    ),
    concept="random forest: p(class | x) = mean over trees of the share of the class in x's leaf",
    expected_shape="samples of any shape",
    input_shape=lambda shape: shape,
    layers=layers,
    trainer="scikit-learn",
    problems=problems,
    flops_reason="growing a tree sorts and compares values; it has no matrix products",
    parameters_reason="the number of nodes of the trees depends on the data",
    memory=memory_bytes,
)
