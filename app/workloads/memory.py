"""How much memory a training is estimated to need, in bytes, by a stated formula.

    process + 16 × parameters + 8 × batch × kept + 12 × values of the data set

`process` is a forked child that has trained something tiny. 16 bytes a parameter are weight,
gradient and Adam's two moments; 8 bytes a value that is kept for the backward pass are the value
and its gradient, all in float32 (evaluation keeps values alone, in batches of EVALUATION_BATCH, and
counts where those are larger); 12 bytes a value of the data set are the array, TensorFlow's copy,
and the arrays on the way to them. Against the peak of forked children on a shared two-core host the
estimate was between 0.93 and 1.10 times what they used, from 0.42 to 1.6 GB.
"""

from collections.abc import Iterable
from math import prod

from app.workloads.datasets import DatasetFacts
from app.workloads.layers import Layer

PROCESS_BYTES = 380_000_000  # measured: resident peak of the smallest trainings, less the rest
FLOAT_BYTES = 4
COPIES_OF_A_PARAMETER = 4
COPIES_OF_A_KEPT_VALUE = 2
COPIES_OF_THE_DATA = 3
EVALUATION_BATCH = 250


def memory_bytes(layers: Iterable[Layer], data: DatasetFacts, batch_size: int) -> int:
    """The estimate of a training's peak memory, in bytes."""
    layers = tuple(layers)
    kept = sum(layer.kept for layer in layers)
    samples = data.training_samples + data.validation_samples + data.test_samples
    values = (
        COPIES_OF_A_PARAMETER * sum(layer.parameters for layer in layers)
        + max(COPIES_OF_A_KEPT_VALUE * batch_size, EVALUATION_BATCH) * kept
        + COPIES_OF_THE_DATA * samples * prod(data.shape)
    )
    return PROCESS_BYTES + FLOAT_BYTES * values
