"""The support vector machine: linear machines with hinge loss on random features of a kernel.

Base (width 1, depth 1): 1,024 random Fourier features of a Gaussian kernel (Rahimi & Recht, Random
Features for Large-Scale Kernel Machines, 2007), cos(w·x + b) with random w and b that are drawn
once and not trained; on them one linear machine a class, against the rest (of two classes, one
machine), trained by stochastic gradient descent on the hinge loss, a sample a step. Width
multiplies the features. Depth composes the kernel with itself (Cho & Saul, Kernel Methods for Deep
Learning, 2009): each block of features reads those of the block below.
"""

from math import prod

from app.domain.errors import FieldError
from app.domain.specs import JobSpec
from app.workloads.datasets import DatasetFacts
from app.workloads.family import SCIKIT_LEARN, Family, scikit_learn_bytes, unhonoured
from app.workloads.layers import Layer, Shape, dense, entry, flatten, scaled
from app.workloads.memory import FLOAT_BYTES

FEATURES = 1024  # of a block

RANDOM_WEIGHT_BYTES = 12


def layers(shape: Shape, classes: int, width: float, depth: int) -> tuple[Layer, ...]:
    """The layers for samples of any shape."""
    chain = [entry(shape)]
    chain.append(flatten("flatten", chain[-1]))
    for block in range(1, depth + 1):
        chain.append(_fourier(f"fourier{block}", chain[-1], scaled(FEATURES, width)))
    chain.append(dense("machines", chain[-1], machines(classes)))
    return tuple(chain)


def machines(classes: int) -> int:
    """How many linear machines tell the classes apart: one a class, of two classes one."""
    return 1 if classes == 2 else classes


def features(spec: JobSpec) -> tuple[int, ...]:
    """The number of random features of each block, from the data up."""
    size = FAMILY.explicit(spec.size)
    return (scaled(FEATURES, size.width),) * size.depth


def memory_bytes(data: DatasetFacts, spec: JobSpec) -> int:
    """The estimate of a training's peak memory, in bytes.

        process + 8 × values of the data set + 12 × random weights of the largest block
        + 4 × features of all samples, of two blocks where there is more than one

    12 bytes a random weight are the draw in float64 and its copy in float32. Against the peak of
    forked children the estimate was between 0.99 and 1.14 times what they used, from 0.35 to
    1.4 GB.
    """
    units, samples = features(spec), _samples(data)
    weights = units[0] * max(prod(data.shape), *units[1:], 0)
    kept = samples * sum(units[:2])
    return scikit_learn_bytes(data) + RANDOM_WEIGHT_BYTES * weights + FLOAT_BYTES * kept


def problems(spec: JobSpec) -> tuple[FieldError, ...]:
    """What of the spec's settings means nothing to it."""
    return unhonoured(spec, SCIKIT_LEARN, "scikit-learn")


def _samples(data: DatasetFacts) -> int:
    return data.training_samples + data.validation_samples + data.test_samples


def _fourier(name: str, source: Layer, units: int) -> Layer:
    """Random features: a dense layer with cosine whose weights stay as they were drawn."""
    return Layer(
        name=name,
        kind="Dense",
        inputs=(source.name,),
        output_shape=(units,),
        options={"units": units, "activation": "cos", "trainable": False},
        untrained=True,
    )


FAMILY = Family(
    name="svm",
    title="Support vector machine",
    description=(
        "1,024 random Fourier features of a Gaussian kernel, and on them a linear machine a class "
        "(one for two classes), trained by stochastic gradient descent on the hinge loss. Width "
        "multiplies the features; depth composes the kernel with itself, block on block."
    ),
    concept="support vector machine: min_w λ/2 |w|² + mean max(0, 1 - y (w·φ(x) + b))",
    expected_shape="samples of any shape",
    input_shape=lambda shape: shape,
    layers=layers,
    trainer="scikit-learn",
    problems=problems,
    flops_reason=(
        "a step changes a machine's weights only where the sample lies within its margin, so the "
        "operations depend on the data"
    ),
    memory=memory_bytes,
)
