"""Training by a plain `model.fit`, with callbacks at the boundaries alone: what to compare with."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from app.domain.errors import TrainingError
from app.domain.specs import JobSpec
from app.training import models
from app.training.course import Course, Score
from app.training.data import Data, Part
from app.training.execution import Settings
from app.workloads import catalogue


def train(spec: JobSpec, settings: Settings, data: Data, course: Course) -> None:
    """One call of `fit` with validation after every epoch, then one of `evaluate`.

    Raises:
        TrainingError: the loss is not finite any more (code `diverged`).
    """
    model = models.build(catalogue.plan(spec))
    steps = model.output_shape[1] if len(model.output_shape) == 3 else None
    model.compile(
        keras.optimizers.Adam(spec.learning_rate),
        "sparse_categorical_crossentropy",
        metrics=[accuracy],
        jit_compile=settings.jit_compile,
        steps_per_execution=settings.steps_per_execution,
    )
    batches = _tf_data if settings.input_pipeline == "tf_data" else _arrays
    validation = _labelled(data.validation, steps)
    model.fit(
        **batches(_labelled(data.training, steps), spec),
        epochs=spec.epochs,
        validation_data=(validation.x, validation.y),
        callbacks=[Boundaries(course, settings)],
        verbose=0,
    )
    course.begin_evaluation()
    test = _labelled(data.test, steps)
    course.end(_score(model.evaluate(test.x, test.y, verbose=0, return_dict=True)))


class Boundaries(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Tells the course where an epoch and its validation begin and end."""

    def __init__(self, course: Course, settings: Settings) -> None:
        """Begin nothing yet."""
        super().__init__()
        self._course, self._settings, self._epoch = course, settings, 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Training steps begin."""
        del logs
        self._epoch = epoch
        self._course.begin_epoch(epoch, self._settings.facts() if epoch == 0 else None)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """So many steps are done."""
        del logs
        steps = self.params["steps"]  # the last call of several steps may count beyond them
        self._course.progress(self._epoch, min(batch + 1, steps), steps)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """The metrics are still those of the epoch."""
        del logs
        self._course.begin_validation(_score(self.model.get_metrics_result()))

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """The epoch is validated."""
        if self._course.end_validation(_score(logs or {})):
            self.model.stop_training = True


def accuracy(labels: Any, probabilities: Any) -> Any:
    """Whether each sample is right; of a sequence, the last step's answer counts."""
    if len(probabilities.shape) == 3:
        labels, probabilities = labels[:, -1], probabilities[:, -1]
    return keras.metrics.sparse_categorical_accuracy(labels, probabilities)


def _labelled(part: Part, steps: int | None) -> Part:
    """Of a sequence that answers at every step, its label at every step."""
    return part if steps is None else Part(part.x, np.repeat(part.y[:, None], steps, axis=1))


def _arrays(part: Part, spec: JobSpec) -> dict[str, Any]:
    return {"x": part.x, "y": part.y, "batch_size": spec.batch_size}


def _tf_data(part: Part, spec: JobSpec) -> dict[str, Any]:
    samples = tf.data.Dataset.from_tensor_slices((part.x, part.y))
    shuffled = samples.shuffle(len(part.y), seed=spec.seed)
    return {"x": shuffled.batch(spec.batch_size).prefetch(tf.data.AUTOTUNE), "shuffle": False}


def _score(metrics: dict[str, Any]) -> Score:
    """What Keras says, as numbers.

    Raises:
        TrainingError: the loss is not finite any more (code `diverged`).
    """
    loss = float(metrics["loss"])
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss became {loss}; expected a finite number: lower the learning rate, "
            "or scale the data",
            code="diverged",
        )
    return Score(loss=loss, accuracy=float(metrics["accuracy"]))
