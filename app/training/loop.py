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
Step = Callable[[Any, Any], tuple[Any, Any]]
Graph = Callable[..., tuple[Any, Any]]


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


def compiled(step: Step, data: Tensors, *, jit_compile: bool = False) -> Graph:
    """Run `step(x, y)` for every row of a matrix of indices, as one graph: `graph(x, y, rows)`.

    XLA compiles the step alone, once for each size of batch; the loop around it is TensorFlow's.
    """
    step = _jitted(step) if jit_compile else step

    def run(x: Any, y: Any, rows: Any) -> tuple[Any, Any]:
        return _sums(
            tf.shape(rows)[0], lambda row: step(tf.gather(x, rows[row]), tf.gather(y, rows[row]))
        )

    signature = [_any_number(data.x), _any_number(data.y), tf.TensorSpec([None, None], tf.int32)]
    graph: Graph = tf.function(run, input_signature=signature, autograph=False)
    return graph


def compiled_stream(step: Step, *, jit_compile: bool = False) -> Graph:
    """The same with batches that an iterator of tf.data brings: `graph(iterator, steps)`."""
    step = _jitted(step) if jit_compile else step

    def run(iterator: Any, steps: Any) -> tuple[Any, Any]:
        return _sums(steps, lambda _: step(*iterator.get_next()))

    graph: Graph = tf.function(run, autograph=False)
    return graph


def _jitted(step: Step) -> Step:
    jitted: Step = tf.function(step, jit_compile=True, autograph=False)
    return jitted


def _sums(steps: Any, take: Callable[[Any], tuple[Any, Any]]) -> tuple[Any, Any]:
    """The sums of losses and hits over steps, as a loop of the graph."""

    def body(number: Any, loss: Any, right: Any) -> tuple[Any, Any, Any]:
        more_loss, more_right = take(number)
        return number + 1, loss + more_loss, right + more_right

    start = (0, tf.constant(0.0), tf.constant(0, tf.int64))
    _, loss, right = tf.while_loop(
        lambda number, *_: number < steps, body, start, parallel_iterations=1
    )
    return loss, right


@dataclass(frozen=True)
class Result:
    """What a chunk of steps brought: the sum of its losses, its hits, its steps and samples."""

    loss: Any
    right: Any
    steps: int
    samples: int


def gathered(graph: Graph, data: Tensors, rows: Iterable[Indices]) -> Iterator[Result]:
    """Run a graph of `compiled` chunk by chunk."""
    for chunk in rows:
        yield Result(*graph(data.x, data.y, chunk), len(chunk), chunk.size)


def streamed(graph: Graph, data: Tensors, rows: Iterable[Indices]) -> Iterator[Result]:
    """Run a graph of `compiled_stream` on the same batches, which tf.data gathers ahead."""
    chunks_ = list(rows)

    def batches() -> Iterator[Indices]:
        for chunk in chunks_:
            yield from chunk

    indices = tf.data.Dataset.from_generator(
        batches, output_signature=tf.TensorSpec([None], tf.int32)
    )
    samples = indices.map(
        lambda row: (tf.gather(data.x, row), tf.gather(data.y, row)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    iterator = iter(samples.prefetch(tf.data.AUTOTUNE))
    for chunk in chunks_:
        steps = tf.constant(len(chunk))  # a Python number would trace anew
        yield Result(*graph(iterator, steps), len(chunk), chunk.size)


@contextlib.contextmanager
def put_back(variables: list[Any]) -> Iterator[None]:
    """Give variables the values back that they have now, after the block."""
    kept = [variable.numpy() for variable in variables]
    yield
    for variable, value in zip(variables, kept, strict=True):
        variable.assign(value)


def training_step(model: Any, optimizer: Any) -> Step:
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


def evaluation_step(model: Any) -> Step:
    """The sum of a batch's losses, and its hits, with the weights as they are."""

    def step(x: Any, y: Any) -> tuple[Any, Any]:
        probabilities = model(x, training=False)
        return tf.reduce_sum(losses(y, probabilities)), hits(y, probabilities)

    return step


def total(results: Iterable[Result], done: Callable[[int], None] = lambda _: None) -> Score:
    """The score over all chunks; `done` hears of the steps of each.

    Raises:
        TrainingError: the loss is not a finite number any more (code `diverged`).
    """
    loss, right, samples = 0.0, 0, 0
    for result in results:
        loss += float(result.loss)
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss became {loss}; expected a finite number: lower the learning rate, "
                "or scale the data",
                code="diverged",
            )
        right += int(result.right)
        samples += result.samples
        done(result.steps)
    return Score(loss=loss / samples, accuracy=right / samples)


def _any_number(tensor: Any) -> Any:
    return tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)
