"""What each `auto` becomes, by the work of a step and by what the hardware can do."""

import json
from dataclasses import replace

import keras
import pytest

from app.domain.specs import JobSpec
from app.training import execution

CPUS = 6
SERIES = {"name": "synthetic", "shape": [100, 10]}


def resolved(monkeypatch=None, *, flags=(), **given):
    if monkeypatch is not None:
        monkeypatch.setattr(execution, "cpu_flags", lambda: frozenset(flags))
    return execution.resolve(JobSpec.model_validate({"model_type": "cnn", **given}))


@pytest.mark.parametrize(
    ("given", "threads"),
    [
        ({"model_type": "cnn"}, CPUS),
        ({"model_type": "cnn", "size": "tiny"}, 1),
        ({"model_type": "attention", "dataset": SERIES}, 1),
        ({"model_type": "attention", "dataset": SERIES, "size": "large"}, CPUS),
        ({"model_type": "rnn", "dataset": SERIES, "batch_size": 128}, 1),
        ({"model_type": "rnn", "dataset": SERIES, "size": "large"}, 1),  # one operation
        ({"model_type": "gru", "dataset": SERIES}, 1),  # of one time step
        ({"model_type": "transformer", "dataset": SERIES}, CPUS),
        ({"model_type": "mlp", "size": "large"}, CPUS),
        ({"model_type": "svm", "size": "large"}, 1),  # a sample after the other
        ({"model_type": "random_forest", "size": "tiny"}, CPUS),
    ],
)
def test_small_work_takes_one_thread(monkeypatch, given, threads):
    monkeypatch.setattr(execution, "usable_cpus", lambda: CPUS)
    assert resolved(**given).threads == threads


def test_the_work_of_a_gru_that_answers_once_is_that_of_a_time_step(monkeypatch):
    monkeypatch.setattr(execution, "usable_cpus", lambda: CPUS)
    model = keras.Sequential(
        [keras.Input((100, 10)), keras.layers.GRU(64), keras.layers.Dense(10, "softmax")]
    )
    given = {"model_type": "keras", "architecture": json.loads(model.to_json()), "dataset": SERIES}
    # 8.5 MFLOP a sample over all 100 steps: large work already at batch 8, were they one product
    assert resolved(**given, batch_size=500).threads == 1
    assert resolved(**given, batch_size=900).threads == CPUS


def test_an_lstm_takes_no_part_in_threads_on_the_cpu_alone(monkeypatch):
    monkeypatch.setattr(execution, "usable_cpus", lambda: CPUS)
    given = {"model_type": "rnn", "dataset": SERIES, "size": "large", "batch_size": 32}
    assert resolved(**given).threads == 1
    monkeypatch.setattr(execution, "on_the_cpu", lambda: False)
    assert resolved(**given).threads == CPUS


@pytest.mark.parametrize(
    ("given", "flags", "precision"),
    [
        ({"model_type": "cnn"}, {"avx512_bf16"}, "mixed_bfloat16"),
        ({"model_type": "cnn"}, {"amx_bf16"}, "mixed_bfloat16"),
        ({"model_type": "cnn"}, {"avx512f"}, "float32"),
        ({"model_type": "cnn", "size": "tiny"}, {"amx_bf16"}, "float32"),
        ({"model_type": "mlp", "size": "large"}, {"amx_bf16"}, "float32"),
        ({"model_type": "transformer", "dataset": SERIES}, {"amx_bf16"}, "float32"),
    ],
)
def test_half_precision_where_the_cpu_has_it_and_the_work_is_large(
    monkeypatch, given, flags, precision
):
    asked = {"execution": {"precision": "auto"}}
    assert resolved(monkeypatch, flags=flags, **given, **asked).precision == precision
    assert resolved(monkeypatch, flags=flags, **given).precision == "float32"  # the default


def test_what_is_given_stays():
    given = {
        "mode": "graph",
        "precision": "mixed_bfloat16",
        "jit_compile": True,
        "steps_per_execution": 7,
        "input_pipeline": "tf_data",
        "threads": 3,
    }
    assert resolved(execution=given) == execution.Settings(**given)


def test_a_plain_fit_is_what_keras_does_by_itself(monkeypatch):
    monkeypatch.setattr(execution, "usable_cpus", lambda: CPUS)
    plain = execution.Settings(
        mode="keras_fit",
        precision="float32",
        jit_compile=False,
        steps_per_execution=1,
        input_pipeline="memory",
        threads=CPUS,
    )
    assert resolved(execution={"mode": "keras_fit", "precision": "auto"}) == plain
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    assert model.jit_compile is plain.jit_compile


def test_the_precision_is_put_into_force():
    before = keras.config.dtype_policy()
    settings = resolved(execution={"precision": "mixed_bfloat16"})
    try:
        execution.put_into_force(settings)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        execution.put_into_force(replace(settings, precision="float32"))
        assert keras.config.dtype_policy().name == "float32"
    finally:
        keras.config.set_dtype_policy(before)
