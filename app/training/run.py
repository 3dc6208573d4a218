"""One training from spec to test accuracy, told in marks at the boundaries of its phases."""

from collections.abc import Callable
from pathlib import Path

import keras

from app.domain.specs import JobSpec
from app.training import classical, data, execution, graph, keras_fit
from app.training.course import Course, Mark, OnProgress
from app.training.data import Data
from app.training.execution import Settings
from app.workloads import catalogue


def train(spec: JobSpec, mark: Mark, progress: OnProgress, cache_dir: Path) -> None:
    """Train until the target, the end of patience or the last epoch; score on the test set.

    Args:
        spec: what to train.
        mark: begins a phase, with facts of the phase that ends; the phase `setup` is the caller's.
        progress: hears of the running epoch, its finished steps and all of its steps.
        cache_dir: where loaded data sets are kept.

    Raises:
        SpecError: the spec cannot be trained.
        TrainingError: the loss is not finite any more (code `diverged`).
    """
    facts = catalogue.facts(spec)
    settings = execution.resolve(spec)
    execution.put_into_force(settings)
    keras.utils.set_random_seed(spec.seed)
    loaded = data.load(spec, facts, cache_dir)
    course = Course(spec, mark, progress, facts.training_samples)
    _trainer(spec)(spec, settings, loaded, course)


def _trainer(spec: JobSpec) -> Callable[[JobSpec, Settings, Data, Course], None]:
    """Who trains the spec's model: scikit-learn, a plain `fit` of Keras, or our own loop."""
    if catalogue.families()[spec.model_type].trainer == "scikit-learn":
        return classical.train
    return keras_fit.train if spec.execution.mode == "keras_fit" else graph.train
