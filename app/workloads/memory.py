"""How much memory a training is estimated to need, in bytes, by a stated formula.

    process + 28 × parameters + 4 × batch × (kept + held) + 12 × values of the data set

`process` is a forked child that has trained something tiny. 28 bytes a parameter are weight,
gradient and Adam's two moments, and copies of all but the gradient, to put them back after the
first step; `kept` are the values that wait for the backward pass, and `held` the most values that
are in use at once where none waits, as gradients are; 12 bytes a value of the data set are the
array, TensorFlow's copy, and the arrays on the way to them; all in float32. Evaluation only holds
values, in batches of EVALUATION_BATCH, and counts where that is more. Against the peak of forked
children on a shared two-core host (seven families, base and large) the estimate was between 0.82
and 1.07 times what they used, from 0.43 to 2.4 GB.

A model of a user's own is estimated by

    1.4 × (that + 2 MB × layers + 40 MB × recurrent layers + 150 MB where XLA compiles)

The megabytes are the graph of a layer with its gradient and Adam's step, the loop over the steps of
a recurrent layer that is not one operation of TensorFlow's, and XLA with its programs, which a
convolution in groups brings along by itself; measured. The factor is for what does not follow from
the layers: inputs and inner values that activations keep, masks of dropouts, buffers of kernels.
Without all this, ten such models used 0.87 to 2.27 times the estimate.
"""

from collections.abc import Iterable
from math import prod

from app.workloads.datasets import DatasetFacts
from app.workloads.layers import Layer

PROCESS_BYTES = 410_000_000  # measured: resident peak of the smallest trainings, less the rest
FLOAT_BYTES = 4
COPIES_OF_A_PARAMETER = 7
COPIES_OF_THE_DATA = 3
EVALUATION_BATCH = 250

OWN_SAFETY = 1.4
LAYER_BYTES = 2_000_000
RECURRENT_BYTES = 40_000_000
XLA_BYTES = 150_000_000
RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN"})


def memory_bytes(layers: Iterable[Layer], data: DatasetFacts, batch_size: int) -> int:
    """The estimate of a training's peak memory, in bytes."""
    layers = tuple(layers)
    kept, most = sum(layer.kept for layer in layers), held(layers)
    samples = data.held_samples
    values = (
        COPIES_OF_A_PARAMETER * sum(layer.parameters for layer in layers)
        + max(batch_size * (kept + most), EVALUATION_BATCH * most)
        + COPIES_OF_THE_DATA * samples * prod(data.shape)
    )
    return PROCESS_BYTES + FLOAT_BYTES * values


def own_memory_bytes(
    layers: Iterable[Layer], data: DatasetFacts, batch_size: int, *, compiled: bool
) -> int:
    """The estimate of the peak memory of training a user's own model, in bytes.

    Args:
        layers: of the model.
        data: that it is trained on.
        batch_size: of the training.
        compiled: by XLA.
    """
    layers = tuple(layers)
    recurrent = sum(layer.kind in RECURRENT for layer in layers)
    by_xla = compiled or any(layer.options.get("groups", 1) > 1 for layer in layers)
    return round(
        OWN_SAFETY
        * (
            memory_bytes(layers, data, batch_size)
            + LAYER_BYTES * len(layers)
            + RECURRENT_BYTES * recurrent
            + XLA_BYTES * by_xla
        )
    )


def held(layers: Iterable[Layer]) -> int:
    """The most values of a sample at once: each until the last layer that reads it is done."""
    layers = tuple(layers)
    last_reader = {name: layer.name for layer in layers for name in layer.inputs}
    alive: dict[str, int] = {}
    most = 0
    for layer in layers:
        most = max(most, sum(alive.values()) + max(layer.kept, prod(layer.output_shape)))
        for name in set(layer.inputs):
            if last_reader[name] == layer.name:
                del alive[name]
        alive[layer.name] = prod(layer.output_shape)
    return most
