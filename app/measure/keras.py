"""A callback for Keras' `model.fit`: epochs and validations as phases, and the energy report."""

import atexit
import json
import math
from types import TracebackType
from typing import Any, Self

import keras

from app.client import Report
from app.domain.errors import SpecError
from app.domain.readings import Phase
from app.measure.run import Measurement, abandoned, measure
from app.workloads import architecture, catalogue


class InterruptedFitError(Exception):
    """A call of `fit` did not come to its end; why is not known."""


class EnergyCallback(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Measures a call of `fit`, or marks its phases in a measurement that is open.

    `model.fit(x, y, callbacks=[EnergyCallback("my model", samples=len(x))])`; the callback's
    `report` is there when `fit` has ended. Keras tells a callback nothing of an error or of Ctrl-C:
    use it as a context manager around `fit` where these should be in the report, or where the
    process goes on afterwards. In a `with measure(...) as run:` block give
    `EnergyCallback(run, samples=len(x))`, and the report is the block's.
    """

    def __init__(
        self, what: Measurement | str, *, samples: int | None = None, **facts: Any
    ) -> None:
        """Measure nothing yet.

        Args:
            what: an open measurement, or the name of the model for one of `fit` alone.
            samples: training samples of an epoch, which a callback cannot see.
            facts: as in `measure`, where `what` is a name.

        Raises:
            SpecError: something that was told does not hold.
            TypeError: facts beside an open measurement.
        """
        super().__init__()
        if isinstance(what, Measurement) and facts:
            raise TypeError(f"an open measurement takes no facts, received {', '.join(facts)}")
        self._own, self._name, self._facts = isinstance(what, str), str(what), facts
        self._run = measure(what, **facts) if isinstance(what, str) else what
        self._samples, self._epoch = samples, 0
        self._fits = False

    def __enter__(self) -> Self:
        """The callback itself, which sees to the end of a `fit` that does not end well."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End a measurement of its own that still goes on, with the error that came."""
        del kind, traceback
        if self._own and self._fits:
            self._close(error)

    def _abandon(self) -> None:
        """End the measurement of a fit whose end nobody has told."""
        if self._own and self._fits:
            self._close(InterruptedFitError("the fit did not come to its end"))

    def _close(self, error: BaseException | None) -> None:
        self._fits = False
        atexit.unregister(self._abandon)
        if self._abandon in abandoned:
            abandoned.remove(self._abandon)
        self._run.__exit__(None if error is None else type(error), error, None)

    @property
    def report(self) -> Report | None:
        """The energy report; null until the measurement has ended."""
        return self._run.report

    @property
    def run(self) -> Measurement:
        """The measurement."""
        return self._run

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """`fit` begins."""
        del logs
        if self._own:
            self._abandon()
            if self._run.report is not None:
                self._run = measure(self._name, **self._facts)
            self._run.__enter__()
            atexit.register(self._abandon)
            abandoned.append(self._abandon)
        self._fits = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Training steps begin."""
        del logs
        self._epoch = epoch
        self._run.begin(Phase.EPOCH, epoch)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """A validation within `fit`, or `evaluate`; the metrics are still those of the epoch."""
        del logs
        if not self._fits:
            self._run.begin(Phase.EVALUATION)
            return
        self._tell_epoch(self.model.get_metrics_result())
        self._run.begin(Phase.VALIDATION, self._epoch)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """It has ended."""
        loss, accuracy = _loss(logs or {}), _accuracy(logs or {})
        if self._fits:
            self._run.tell(validation_loss=loss, validation_accuracy=accuracy)
        else:
            self._run.tell(test_loss=loss, test_accuracy=accuracy)
        self._run.begin(Phase.OTHER)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """The epoch has ended, and its validation, where it has one."""
        del epoch
        if any(name.startswith("val_") for name in logs or {}):
            return
        self._tell_epoch(logs or {})
        self._run.begin(Phase.OTHER)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """`fit` has ended."""
        del logs
        self._fits = False
        self._describe()
        if self._own:
            self._close(None)

    def _tell_epoch(self, metrics: dict[str, Any]) -> None:
        facts = {"loss": _loss(metrics), "train_accuracy": _accuracy(metrics)}
        self._run.tell(samples=self._samples, **facts)

    def _describe(self) -> None:
        """What is known of the model by now."""
        known = {
            "parameters": sum(math.prod(weight.shape) for weight in self.model.trainable_weights),
            "layers": len(self.model.layers),
            "flops_per_sample": _flops(self.model),
            "framework": f"keras {keras.__version__} ({keras.backend.backend()})",
        }
        self._run.describe(**{name: value for name, value in known.items() if value is not None})


def _loss(metrics: dict[str, Any]) -> float | None:
    return metrics.get("loss")


def _accuracy(metrics: dict[str, Any]) -> float | None:
    """The first metric that is an accuracy by its name."""
    return next((metrics[name] for name in metrics if "acc" in name), None)


def _flops(model: Any) -> int | None:
    """FLOPs of one sample, forward and backward; null where a layer is none that is counted."""
    try:
        shape, classes = tuple(model.input_shape[1:]), int(model.output_shape[-1])
        layers = architecture.layers(json.loads(model.to_json()), shape, classes)
    except (SpecError, AttributeError, NotImplementedError, TypeError, ValueError):
        return None  # of a class of one's own, of several inputs, not built, of unknown shapes
    return catalogue.flops(layers)
