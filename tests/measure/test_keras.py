"""The Keras callback: phases as the service's own, and what is known of the model."""

import numpy as np
import pytest

from app.domain.readings import Phase
from app.measure import measure

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
