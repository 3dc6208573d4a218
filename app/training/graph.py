"""Training by our own loop: data in memory, chunks of steps as one graph each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import keras
import numpy as np

from app.domain.specs import JobSpec
from app.training import loop, models
from app.training.course import Course, Score
from app.training.data import Data
from app.training.execution import Settings, on_the_cpu
from app.training.loop import Graph, Indices, Result, Tensors
from app.workloads import catalogue
from app.workloads.memory import EVALUATION_BATCH

EVALUATION_STEPS = 16
ORDER = 4  # the stream of random numbers that orders an epoch, beside those of the data


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Data in memory and traced graphs: all that an epoch needs."""

    spec: JobSpec
    settings: Settings
    train: Graph
    evaluate: Graph
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
    jit = settings.jit_compile
    model = models.build(catalogue.plan(spec), fused=not jit and on_the_cpu())
    optimizer = keras.optimizers.Adam(spec.learning_rate)
    training = loop.tensors(data.training)
    step = loop.training_step(model, optimizer)
    ready = Prepared(
        spec=spec,
        settings=settings,
        train=(
            loop.compiled_stream(step, jit_compile=jit)
            if settings.input_pipeline == "tf_data"
            else loop.compiled(step, training, jit_compile=jit)
        ),
        evaluate=loop.compiled(loop.evaluation_step(model), training, jit_compile=jit),
        training=training,
        validation=loop.tensors(data.validation),
        test=loop.tensors(data.test),
    )
    with loop.put_back([*model.variables, *optimizer.variables]):
        _run_once(_trained(ready, _one_each(training, spec.batch_size)))
    for part in (ready.validation, ready.test):
        _run_once(loop.gathered(ready.evaluate, part, _one_each(part, EVALUATION_BATCH)))
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

    return loop.total(_trained(ready, rows), done)


def evaluate(ready: Prepared, part: Tensors) -> Score:
    """The score on a part of the data, with the weights as they are."""
    return loop.total(loop.gathered(ready.evaluate, part, _in_order(part)))


def _trained(ready: Prepared, rows: Iterable[Indices]) -> Iterator[Result]:
    """The results of training steps on these rows, by the pipeline that was asked for."""
    stream = ready.settings.input_pipeline == "tf_data"
    feed = loop.streamed if stream else loop.gathered
    return feed(ready.train, ready.training, rows)


def _in_order(part: Tensors) -> Iterator[Indices]:
    order = np.arange(part.samples, dtype=np.int32)
    return loop.chunks(order, min(EVALUATION_BATCH, part.samples), EVALUATION_STEPS)


def _one_each(part: Tensors, batch: int) -> list[Indices]:
    """A chunk of one step for each size of batch that occurs, on whatever samples."""
    sizes = {min(batch, part.samples), part.samples % batch} - {0}
    return [np.zeros((1, size), np.int32) for size in sorted(sizes)]


def _run_once(results: Iterable[Result]) -> None:
    """Take the steps; what they say is dropped."""
    for _ in results:
        pass
