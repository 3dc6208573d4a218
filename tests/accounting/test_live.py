"""Power sample by sample is the power of the report."""

import pytest

from app.accounting.live import LivePower
from app.domain.readings import ComponentFacts, KnownFacts, Reading

GUESS_TWICE = ComponentFacts(
    method="assumed", source="codecarbon cpu_load", tdp_w=16, tdp_guessed=True, sockets=2
)
RAPL = ComponentFacts(method="measured", source="codecarbon intel_rapl")
TDP_ALONE = ComponentFacts(method="assumed", tdp_w=300)
NVML = ComponentFacts(method="measured", source="codecarbon pynvml")
LOST = ComponentFacts(method="unavailable", reason="no right to read it")


@pytest.mark.parametrize(
    ("facts", "drawn"),
    [
        ({}, {}),
        ({"cpu": GUESS_TWICE}, {"cpu_w": 16.0}),
        ({"cpu": RAPL, "gpu": NVML}, {"cpu_w": 30.0, "gpu_w": 250.0}),
        ({"gpu": TDP_ALONE}, {}),
        ({"gpu": TDP_ALONE}, {"gpu_w": 50.0}),
        ({"cpu": LOST}, {"cpu_w": None}),
    ],
)
def test_every_sample_is_the_reports(attempt, meter, evaluate, facts, drawn):
    _held(attempt(meter=meter(**facts), step_s=0.25, **drawn), evaluate)


def test_a_known_tdp_is_in_every_sample_too(attempt, host, evaluate):
    known = KnownFacts(cpu_tdp_w=360, socket_threads=192)
    _held(attempt(host=host(known=known), step_s=0.25), evaluate)


def test_sensors_that_are_listed_do_not_disturb_it(measured, evaluate):
    _held(measured(seconds=5.0), evaluate)


def _held(readings, evaluate):
    live = LivePower(readings)
    taken = readings.readings
    samples = [live.sample(*pair) for pair in zip(taken, taken[1:], strict=False)]
    power = evaluate(readings).power
    assert [sample.t_s for sample in samples] == list(power.t_s)
    for name in ("cpu_w", "gpu_w", "ram_w"):
        assert [getattr(s, name) for s in samples] == [
            w if w is None else pytest.approx(w) for w in getattr(power, name)
        ]


def _reading(t_s, cpu_j):
    return Reading(t_s=t_s, cpu_j=cpu_j, gpu_j=None, ram_j=20 * t_s)


def test_a_counter_that_is_missing_or_goes_back_gives_null_for_that_sample(attempt):
    live = LivePower(attempt())
    known = _reading(1.0, 8.0)
    for after in (None, 7.9):
        sample = live.sample(known, _reading(2.0, after))
        assert (sample.cpu_w, sample.ram_w) == (None, pytest.approx(20.0))
    assert live.sample(_reading(1.0, None), _reading(2.0, 8.0)).cpu_w is None
    assert live.sample(_reading(1.0, None), _reading(2.0, None)).cpu_w is None


def test_a_short_time_has_a_figure_too(attempt):
    sample = LivePower(attempt()).sample(_reading(1.0, 8.0), _reading(1.01, 8.08))
    assert sample.cpu_w == pytest.approx(8.0)
    assert (sample.attempt, sample.t_s) == (1, 1.0)
