"""The Keras callback: phases as the service's own, and what is known of the model."""

import os
import subprocess
import sys

import numpy as np
import pytest

from app.domain.readings import Phase
from app.measure import measure
from app.measure.run import abandoned

keras = pytest.importorskip("keras")

from app.measure.keras import EnergyCallback  # noqa: E402 -- Keras takes seconds

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(64, 8)).astype("float32"), RNG.integers(0, 3, 64)


def _model():
    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(3, "softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _phases(report):
    return [
        (phase.name, phase.index)
        for phase in report.phases
        if phase.name not in {Phase.OTHER, Phase.SETUP}
    ]


def test_fit_alone(steady):
    model = _model()
    energy = EnergyCallback("net", samples=len(X), store=False)
    history = model.fit(
        X, Y, epochs=2, validation_data=(X, Y), callbacks=[energy], verbose=0
    ).history
    report = energy.report
    assert _phases(report) == [
        (Phase.EPOCH, 0),
        (Phase.VALIDATION, 0),
        (Phase.EPOCH, 1),
        (Phase.VALIDATION, 1),
    ]
    epochs = [phase for phase in report.phases if phase.name is Phase.EPOCH]
    assert [e.samples for e in epochs] == [64, 64]
    assert [e.loss for e in epochs] == pytest.approx(history["loss"])
    assert [e.train_accuracy for e in epochs] == pytest.approx(history["accuracy"])
    assert [e.validation_accuracy for e in epochs] == pytest.approx(history["val_accuracy"])
    assert report.work.parameters == model.count_params()
    assert report.work.layers == len(model.layers)
    assert "keras" in report.environment.execution["framework"]


def test_without_validation(steady):
    energy = EnergyCallback("net", samples=len(X), store=False)
    history = _model().fit(X, Y, epochs=2, callbacks=[energy], verbose=0).history
    assert _phases(energy.report) == [(Phase.EPOCH, 0), (Phase.EPOCH, 1)]
    epochs = [phase for phase in energy.report.phases if phase.name is Phase.EPOCH]
    assert [e.loss for e in epochs] == pytest.approx(history["loss"])


def test_in_an_open_measurement_with_a_test_set(steady):
    model = _model()
    with measure("net", store=False) as run:
        energy = EnergyCallback(run, samples=len(X))
        model.fit(X, Y, epochs=1, callbacks=[energy], verbose=0)
        assert run.report is None
        found = model.evaluate(X, Y, callbacks=[energy], verbose=0, return_dict=True)
    assert _phases(run.report) == [(Phase.EPOCH, 0), (Phase.EVALUATION, None)]
    assert run.report.quality.test_accuracy == pytest.approx(found["accuracy"])
    assert run.report.quality.test_loss == pytest.approx(found["loss"])
    assert energy.report is run.report


def test_facts_beside_an_open_measurement(steady):
    with measure("net", store=False) as run, pytest.raises(TypeError, match="dataset"):
        EnergyCallback(run, dataset="mine")


def test_flops_are_those_of_the_catalogue(steady):
    energy = EnergyCallback("net", samples=len(X), store=False)
    model = _model()
    model.fit(X, Y, epochs=1, callbacks=[energy], verbose=0)
    dense = 2 * (8 * 4 + 4 * 3)
    assert energy.report.work.flops_per_sample == dense + dense + 2 * 4 * 3


def test_a_model_that_cannot_be_counted_has_a_reason(steady):
    doubled = keras.layers.Lambda(lambda x: 2 * x)
    model = keras.Sequential([keras.Input((8,)), doubled, keras.layers.Dense(1)])
    model.compile("adam", "mse")
    energy = EnergyCallback("regression", samples=len(X), store=False)
    model.fit(X, Y.astype("float32"), epochs=1, callbacks=[energy], verbose=0)
    assert energy.report.work.flops_per_sample is None
    assert energy.report.work.flops_reason
    assert energy.report.work.parameters == 9


def test_facts_of_the_user_stand(steady):
    energy = EnergyCallback("net", dataset="mine", batch_size=32, tags={"a": "b"}, store=False)
    _model().fit(X, Y, epochs=1, callbacks=[energy], verbose=0)
    trained = energy.report.trained
    assert (trained.dataset, trained.batch_size) == ("mine", 32)
    assert energy.report.efficiency.j_per_sample is None


class _BreakError(Exception):
    pass


class _Breaks(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise _BreakError(f"in epoch {epoch}")


def _broken(energy):
    with pytest.raises(_BreakError):
        _model().fit(X, Y, epochs=2, callbacks=[energy, _Breaks()], verbose=0)


def test_around_a_fit_that_breaks_the_report_has_the_error(steady):
    energy = EnergyCallback("net", samples=len(X), store=False)
    with pytest.raises(_BreakError), energy:
        _model().fit(X, Y, epochs=2, callbacks=[energy, _Breaks()], verbose=0)
    assert energy.report.status == "failed"
    assert energy.run._posted.ended.error.message == "_BreakError: in epoch 0"
    assert energy.report.energy.total_j > 0


def test_a_fit_that_breaks_alone_holds_nothing_once_something_else_is_measured(steady):
    energy = EnergyCallback("net", store=False)
    _broken(energy)
    assert energy.report is None
    with measure("another", store=False) as run:
        pass
    assert (energy.report.status, run.report.status) == ("failed", "succeeded")
    assert "did not come to its end" in energy.run._posted.ended.error.message


def test_the_same_callback_measures_again(steady):
    energy = EnergyCallback("net", store=False)
    _broken(energy)
    model = _model()
    model.fit(X, Y, epochs=1, callbacks=[energy], verbose=0)
    first = energy.report
    model.fit(X, Y, epochs=2, callbacks=[energy], verbose=0)
    assert (first.status, energy.report.status) == ("succeeded", "succeeded")
    assert (first.trained.epochs, energy.report.trained.epochs) == (1, 2)
    assert abandoned == []


def test_a_program_that_ends_in_a_broken_fit_ends_and_lets_the_host_go(tmp_path):
    program = """
import keras, numpy
from app.measure.keras import EnergyCallback
class Breaks(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise ValueError("no")
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("adam", "mse")
x = numpy.zeros((8, 2), "float32")
model.fit(x, x[:, :1], callbacks=[EnergyCallback("net", store=False), Breaks()], verbose=0)
"""
    where = {
        "TRAINWATT_HOST_LOCK": str(tmp_path / "lock"),
        "TRAINWATT_DATA_DIR": str(tmp_path / "data"),
    }
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | where,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "ValueError: no" in ended.stderr
    assert "did not come to its end" not in ended.stderr
