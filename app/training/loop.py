"""The training loop: chunks of steps as one graph over data in memory, and the same to evaluate.

A chunk is a matrix of sample indices, a row a step: the graph gathers each row's samples and takes
a step. Every size of batch is run once before the first epoch and all variables are put back, so
that what TensorFlow does once (traces, kernels, XLA's programs) lies in `setup`.
"""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from app.domain.errors import TrainingError
from app.training.course import Score
from app.training.data import Part
from app.training.models import hits, losses

Indices = NDArray[np.int32]
Chunk = Callable[..., tuple[Any, Any]]


@dataclass(frozen=True)
class Tensors:
    """A part of the data in TensorFlow's memory."""

    x: Any
    y: Any

    @property
    def samples(self) -> int:
        """How many there are."""
        return int(self.x.shape[0])


def tensors(part: Part) -> Tensors:
    """The part as constants; executes an op, so never before a fork."""
    return Tensors(tf.constant(part.x), tf.constant(part.y))


def chunks(order: Indices, batch: int, steps: int) -> Iterator[Indices]:
    """The order in rows of a batch, `steps` rows at a time; the last, partial batch comes alone."""
    whole = len(order) // batch
    rows = order[: whole * batch].reshape(whole, batch)
    for start in range(0, whole, steps):
        yield rows[start : start + steps]
    if len(order) % batch:
        yield order[np.newaxis, whole * batch :]


def compiled(step: Chunk, data: Tensors, *, jit_compile: bool = False) -> Chunk:
    """Run `step(x, y)` for every row of a matrix of indices, as one graph; sums of its results.

    XLA compiles the step alone, once for each size of batch; the loop around it is TensorFlow's.
    """
    step = tf.function(step, jit_compile=True, autograph=False) if jit_compile else step

    def run(x: Any, y: Any, rows: Any) -> tuple[Any, Any]:
        def body(row: Any, loss: Any, right: Any) -> tuple[Any, Any, Any]:
            more_loss, more_right = step(tf.gather(x, rows[row]), tf.gather(y, rows[row]))
            return row + 1, loss + more_loss, right + more_right

        def unfinished(row: Any, *_: Any) -> Any:
            return row < tf.shape(rows)[0]

        start = (0, tf.constant(0.0), tf.constant(0, tf.int64))
        _, loss, right = tf.while_loop(unfinished, body, start, parallel_iterations=1)
        return loss, right

    signature = [_any_number(data.x), _any_number(data.y), tf.TensorSpec([None, None], tf.int32)]
    graph: Chunk = tf.function(run, input_signature=signature, autograph=False)
    return graph


def run_once(graph: Chunk, data: Tensors, batches: Iterable[int]) -> None:
    """Take a step with a batch of each size, on whatever samples; what it says is dropped."""
    for size in sorted(batches):
        graph(data.x, data.y, np.zeros((1, size), np.int32))


@contextlib.contextmanager
def put_back(variables: list[Any]) -> Iterator[None]:
    """Give variables the values back that they have now, after the block."""
    kept = [variable.numpy() for variable in variables]
    yield
    for variable, value in zip(variables, kept, strict=True):
        variable.assign(value)


def training_step(model: Any, optimizer: Any) -> Chunk:
    """One step of gradient descent on a batch: the sum of its losses, and its hits."""
    optimizer.build(model.trainable_variables)

    def step(x: Any, y: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            probabilities = model(x, training=True)
            each = losses(y, probabilities)
            loss = tf.reduce_mean(each)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return tf.reduce_sum(each), hits(y, probabilities)

    return step


def evaluation_step(model: Any) -> Chunk:
    """The sum of a batch's losses, and its hits, with the weights as they are."""

    def step(x: Any, y: Any) -> tuple[Any, Any]:
        probabilities = model(x, training=False)
        return tf.reduce_sum(losses(y, probabilities)), hits(y, probabilities)

    return step


def run_over(
    graph: Chunk,
    data: Tensors,
    rows: Iterator[Indices],
    done: Callable[[int], None] = lambda _: None,
) -> Score:
    """Run all rows; `done` hears of the steps of each chunk.

    Raises:
        TrainingError: the loss is not a finite number any more (code `diverged`).
    """
    loss, right, samples = 0.0, 0, 0
    for chunk in rows:
        more_loss, more_right = graph(data.x, data.y, chunk)
        loss += float(more_loss)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss}; expected a finite number: lower the learning rate",
                code="diverged",
            )
        right += int(more_right)
        samples += chunk.size
        done(len(chunk))
    return Score(loss=loss / samples, accuracy=right / samples)


def _any_number(tensor: Any) -> Any:
    return tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)
