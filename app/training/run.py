"""One training from spec to test accuracy, told in marks at the boundaries of its phases."""

import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from app.domain.readings import Phase
from app.domain.specs import Execution, JobSpec
from app.metering import container
from app.metering.host import usable_cpus
from app.training import data, loop, models
from app.training.loop import Chunk, Score, Tensors
from app.workloads import catalogue
from app.workloads.memory import EVALUATION_BATCH

Mark = Callable[[Phase, int | None, dict[str, Any]], None]
OnProgress = Callable[[int, int, int], None]

AUTO_STEPS_PER_EXECUTION = 16
ORDER = 4  # the stream of random numbers that orders an epoch, beside those of the data


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Data in memory and traced graphs: all that an epoch needs."""

    train: Chunk
    evaluate: Chunk
    training: Tensors
    validation: Tensors
    test: Tensors


def train(spec: JobSpec, mark: Mark, progress: OnProgress, cache_dir: Path) -> None:
    """Train until an epoch validates at the target or all are done; evaluate on the test set.

    Args:
        spec: what to train.
        mark: begins a phase, with facts of the phase that ends; the phase `setup` is the caller's.
        progress: hears of the running epoch, its finished steps and all of its steps.
        cache_dir: where loaded data sets are kept.

    Raises:
        SpecError: the spec cannot be trained.
        TrainingError: the loss is not finite any more (code `diverged`).
    """
    ended = execution(spec.execution)
    ready = prepare(spec, cache_dir)
    for epoch in range(spec.epochs):
        mark(Phase.EPOCH, epoch, ended)
        score = run_epoch(spec, ready, epoch, progress)
        mark(Phase.VALIDATION, epoch, _trained(score, ready.training.samples))
        ended = _scored("validation", evaluate(ready, ready.validation))
        if (
            spec.target_accuracy is not None
            and ended["validation_accuracy"] >= spec.target_accuracy
        ):
            break
    mark(Phase.EVALUATION, None, ended)
    ended = _scored("test", evaluate(ready, ready.test))
    mark(Phase.END, None, {**ended, "peak_memory_bytes": peak_memory_bytes()})


def execution(asked: Execution) -> dict[str, Any]:
    """Set the threads before TensorFlow's first op, and say what each `auto` became.

    TensorFlow takes a thread for each CPU by itself; where a control group allows less time than
    that, `auto` takes as many as it allows.

    Raises:
        RuntimeError: TensorFlow has run an op with another number of threads already.
    """
    threads = usable_cpus() if asked.threads == "auto" else asked.threads
    if asked.threads != "auto" or container.cpu_quota() is not None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    return {
        "tensorflow": tf.__version__,
        "threads": threads,
        "precision": asked.precision,
        "jit_compile": False,
        "steps_per_execution": steps_per_execution(asked),
        "input_pipeline": "memory",
    }


def steps_per_execution(asked: Execution) -> int:
    """How many steps run as one graph."""
    steps = asked.steps_per_execution
    return AUTO_STEPS_PER_EXECUTION if steps == "auto" else steps


def prepare(spec: JobSpec, cache_dir: Path) -> Prepared:
    """Load the data, build the model and trace both graphs; no step is taken."""
    keras.utils.set_random_seed(spec.seed)
    loaded = data.load(spec, catalogue.facts(spec), cache_dir)
    training = loop.tensors(loaded.training)
    model = models.build(catalogue.plan(spec))
    optimizer = keras.optimizers.Adam(spec.learning_rate)
    return Prepared(
        train=loop.compiled(loop.training_step(model, optimizer), training),
        evaluate=loop.compiled(loop.evaluation_step(model), training),
        training=training,
        validation=loop.tensors(loaded.validation),
        test=loop.tensors(loaded.test),
    )


def run_epoch(spec: JobSpec, ready: Prepared, epoch: int, progress: OnProgress) -> Score:
    """Every training sample once, in an order that seed and epoch give."""
    samples = ready.training.samples
    order = np.random.default_rng([spec.seed, ORDER, epoch]).permutation(samples).astype(np.int32)
    rows = loop.chunks(order, spec.batch_size, steps_per_execution(spec.execution))
    finished, steps = 0, -(-samples // spec.batch_size)

    def done(more: int) -> None:
        nonlocal finished
        finished += more
        progress(epoch, finished, steps)

    return loop.run_over(ready.train, ready.training, rows, done)


def evaluate(ready: Prepared, part: Tensors) -> Score:
    """The score on a part of the data, with the weights as they are."""
    order = np.arange(part.samples, dtype=np.int32)
    rows = loop.chunks(order, min(EVALUATION_BATCH, part.samples), AUTO_STEPS_PER_EXECUTION)
    return loop.run_over(ready.evaluate, part, rows)


def peak_memory_bytes() -> int:
    """The most resident memory that this process has had (getrusage counts KiB but on macOS)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _trained(score: Score, samples: int) -> dict[str, Any]:
    return {"samples": samples, "loss": score.loss, "train_accuracy": score.accuracy}


def _scored(part: str, score: Score) -> dict[str, Any]:
    return {f"{part}_accuracy": score.accuracy, f"{part}_loss": score.loss}
