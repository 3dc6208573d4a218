"""Phases tile a run; facts go to the phase that they end; power adds up to energy."""

import math

import pytest

from app.accounting import phases
from app.domain.readings import Phase


def test_phases_with_their_facts(attempt, evaluate):
    found = evaluate(attempt()).phases
    names = [(p.name, p.index, p.start_s, p.duration_s) for p in found]
    assert names == [
        (Phase.SETUP, None, 0.0, 1.0),
        (Phase.EPOCH, 0, 1.0, 4.0),
        (Phase.VALIDATION, 0, 5.0, 1.0),
        (Phase.EPOCH, 1, 6.0, 5.0),
        (Phase.VALIDATION, 1, 11.0, 1.5),
        (Phase.EVALUATION, None, 12.5, 2.5),
        (Phase.END, None, 15.0, 5.0),
    ]
    epoch, validation, evaluation = found[1], found[2], found[5]
    assert (epoch.samples, epoch.loss, epoch.train_accuracy) == (4000, 0.6, 0.8)
    assert epoch.validation_accuracy == validation.validation_accuracy == 0.9
    assert (validation.samples, validation.loss) == (None, 0.4)
    assert (evaluation.loss, evaluation.validation_accuracy) == (0.2, None)
    assert epoch.energy_j == pytest.approx(4 * 28)


def test_a_cut_epoch_has_energy_and_no_facts(attempt, evaluate):
    found = evaluate(attempt(seconds=8.0)).phases[-1]
    assert (found.name, found.index, found.duration_s) == (Phase.EPOCH, 1, 2.0)
    assert (found.samples, found.loss, found.validation_accuracy) == (None, None, None)
    assert found.energy_j == pytest.approx(56.0)


def test_a_diverged_loss_is_null(attempt, evaluate):
    marks = {
        1.0: {"begins": "epoch", "index": 0},
        5.0: {
            "begins": "validation",
            "index": 0,
            "ended": {"samples": 10, "loss": float("nan"), "train_accuracy": "?"},
        },
    }
    found = evaluate(attempt(marks=marks)).phases[1]
    assert (found.samples, found.loss, found.train_accuracy) == (10, None, None)


def test_power_adds_up_to_energy(attempt, evaluate):
    found = evaluate(attempt(cpu_w=13.7))
    power = found.power
    ends = [*power.t_s[1:], found.duration_s]
    seconds = [end - start for start, end in zip(power.t_s, ends, strict=True)]
    cpu_j = sum(w * s for w, s in zip(power.cpu_w, seconds, strict=True))
    assert cpu_j == pytest.approx(found.energy.cpu.energy_j, rel=1e-9)
    assert set(power.gpu_w) == {None}
    assert power.ram_w[0] == pytest.approx(20.0)


@pytest.mark.parametrize("place", [0, 3, 8])
def test_two_readings_at_one_time_lose_nothing(attempt, evaluate, place):
    readings = attempt(seconds=4.0)
    twin = readings.readings[place].model_copy(update={"begins": None})
    before = readings.readings[: place + 1]
    after = tuple(
        r.model_copy(update={"cpu_j": r.cpu_j + 1}) for r in (twin, *readings.readings[place + 1 :])
    )
    found = evaluate(readings.model_copy(update={"readings": before + after}))
    assert found.energy.cpu.energy_j == pytest.approx(33.0)
    assert sum(w * 0.5 for w in found.power.cpu_w) == pytest.approx(33.0)


def test_facts_that_no_training_should_send_are_null():
    odd = {"huge": 10**400, "below": -3, "above": 1.5, "nan": math.nan, "yes": True, "good": 1.0}
    assert {name for name in odd if phases.number(odd, name) is None} == {"huge", "nan", "yes"}
    assert [name for name in odd if phases.whole(odd, name) is not None] == ["above", "good"]
    assert [name for name in odd if phases.share(odd, name) is not None] == ["good"]
