"""Training by our own loop: data in memory, chunks of steps as one graph each."""

from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np

from app.domain.specs import JobSpec
from app.training import loop, models
from app.training.course import Course, Score
from app.training.data import Data
from app.training.execution import Settings
from app.training.loop import Chunk, Indices, Tensors
from app.workloads import catalogue
from app.workloads.memory import EVALUATION_BATCH

EVALUATION_STEPS = 16
ORDER = 4  # the stream of random numbers that orders an epoch, beside those of the data


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Data in memory and traced graphs: all that an epoch needs."""

    spec: JobSpec
    settings: Settings
    train: Chunk
    evaluate: Chunk
    training: Tensors
    validation: Tensors
    test: Tensors


def train(spec: JobSpec, settings: Settings, data: Data, course: Course) -> None:
    """Train epoch by epoch until the course says that it is enough, and score on the test set.

    Raises:
        TrainingError: the loss is not finite any more (code `diverged`).
    """
    ready = prepare(spec, settings, data)
    for epoch in range(spec.epochs):
        course.begin_epoch(epoch, settings.facts() if epoch == 0 else None)
        course.begin_validation(run_epoch(ready, epoch, course))
        if course.end_validation(evaluate(ready, ready.validation)):
            break
    course.begin_evaluation()
    course.end(evaluate(ready, ready.test))


def prepare(spec: JobSpec, settings: Settings, data: Data) -> Prepared:
    """Build the model, trace and compile both graphs; the weights are as if no step was taken."""
    model = models.build(catalogue.plan(spec))
    optimizer = keras.optimizers.Adam(spec.learning_rate)
    training = loop.tensors(data.training)
    jit = settings.jit_compile
    ready = Prepared(
        spec=spec,
        settings=settings,
        train=loop.compiled(loop.training_step(model, optimizer), training, jit_compile=jit),
        evaluate=loop.compiled(loop.evaluation_step(model), training, jit_compile=jit),
        training=training,
        validation=loop.tensors(data.validation),
        test=loop.tensors(data.test),
    )
    with loop.put_back([*model.variables, *optimizer.variables]):
        loop.run_once(ready.train, training, _sizes(training.samples, spec.batch_size))
    for part in (ready.validation, ready.test):
        loop.run_once(ready.evaluate, part, _sizes(part.samples, EVALUATION_BATCH))
    return ready


def run_epoch(ready: Prepared, epoch: int, course: Course) -> Score:
    """Every training sample once, in an order that seed and epoch give."""
    spec, samples = ready.spec, ready.training.samples
    order = np.random.default_rng([spec.seed, ORDER, epoch]).permutation(samples).astype(np.int32)
    rows = loop.chunks(order, spec.batch_size, ready.settings.steps_per_execution)
    finished, steps = 0, -(-samples // spec.batch_size)

    def done(more: int) -> None:
        nonlocal finished
        finished += more
        course.progress(epoch, finished, steps)

    return loop.run_over(ready.train, ready.training, rows, done)


def evaluate(ready: Prepared, part: Tensors) -> Score:
    """The score on a part of the data, with the weights as they are."""
    return loop.run_over(ready.evaluate, part, _in_order(part))


def _in_order(part: Tensors) -> Iterator[Indices]:
    order = np.arange(part.samples, dtype=np.int32)
    return loop.chunks(order, min(EVALUATION_BATCH, part.samples), EVALUATION_STEPS)


def _sizes(samples: int, batch: int) -> set[int]:
    """The sizes of batches that occur."""
    return {min(batch, samples), samples % batch} - {0}
