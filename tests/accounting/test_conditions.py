"""Conditions of a run from its counters, at their bounds."""

import pytest

from app.accounting import conditions


def test_others_and_the_service_are_told_apart(attempt, changed):
    """Of two CPUs for 20 s, others use 10 % and the service 20 %; the job has the rest."""
    readings = changed(
        attempt(others=0.3), lambda r: {"service_cpu_s": None if r.t_s == 0 else 3 + 0.4 * r.t_s}
    )
    assert conditions.contention_share(readings) == pytest.approx(0.1)
    assert conditions.service_share(readings) == pytest.approx(0.2)


def test_the_service_is_known_where_the_job_is_not(attempt, changed):
    readings = changed(attempt(), lambda _: {"job_cpu_s": None})
    assert conditions.contention_share(readings) is None
    assert conditions.service_share(readings) == 0.0


def test_a_short_window_says_nothing_of_the_service(attempt, changed):
    readings = changed(attempt(), lambda r: {"service_cpu_s": 3.0 if r.t_s < 9 else None})
    assert conditions.service_share(readings) is None


def test_the_instruments_joules_are_its_part_of_the_busy_cpu_seconds(attempt):
    # 0.001 CPU-seconds a second of 2 × 0.5 busy ones
    assert conditions.instrument_j(attempt(load=0.5), 160.0) == pytest.approx(0.16)
    assert conditions.instrument_j(attempt(load=0.5), None) is None
    assert conditions.instrument_j(attempt(load=None), 160.0) is None
    assert conditions.instrument_j(attempt(load=0.0), 160.0) is None


def test_what_was_swapped_is_a_difference(attempt, changed):
    assert conditions.swapped_mib(attempt()) is None
    swapping = changed(attempt(), lambda r: {"swapped_mib": 500.0 + r.t_s})
    assert conditions.swapped_mib(swapping) == pytest.approx(20.0)


@pytest.mark.parametrize("chip", ["cpu", "gpu"])
def test_a_drift_is_counted_after_the_first_minute(attempt, changed, chip):
    field = f"{chip}_temperature_c"

    def warmed(curve, seconds=180.0):
        return conditions.drift_c(
            changed(attempt(seconds=seconds), lambda r: {field: curve(r.t_s)})
        )

    assert warmed(lambda t: 30 + min(t, 60)) == pytest.approx(0)  # 60 °C more in the first minute
    assert warmed(lambda t: 30 + t / 10) == pytest.approx(9, abs=0.1)  # 90 s lie between
    assert warmed(lambda t: 90 - t / 10) == pytest.approx(-9, abs=0.1)
    assert warmed(lambda t: 30 + t, seconds=60.0) is None
    assert warmed(lambda t: 30.0 if t < 100 else None) is None


@pytest.mark.parametrize(("samples", "known"), [(9, False), (10, True)])
@pytest.mark.parametrize("part", ["early", "late"])
def test_a_drift_of_few_samples_is_noise(attempt, changed, part, samples, known):
    """Of 180 s: 60 to 90 s are held against 150 to 180 s, one of them with few temperatures."""
    begin_s = 60.0 if part == "early" else 150.0

    def seen(reading):
        left_out = begin_s + (samples - 1) * 0.5 < reading.t_s <= begin_s + 30
        return {"cpu_temperature_c": None if left_out else 30 + reading.t_s / 10}

    found = conditions.drift_c(changed(attempt(seconds=180.0), seen))
    assert (found is not None) is known


def _of_many_cpus(make, others, job):
    """128 CPUs for a minute: `others` and `job` are CPU-seconds a second."""
    readings = make.attempt(seconds=60.0, host=make.host(host_cpus=128))
    return make.changed(
        readings,
        lambda r: {
            "host_busy_s": 50.0 + (others + job) * r.t_s,
            "job_cpu_s": None if r.t_s == 60 else job * r.t_s,
        },
    )


def test_others_are_held_against_the_job(make):
    readings = _of_many_cpus(make, others=6.3, job=1.0)
    assert conditions.contention_share(readings) == pytest.approx(6.3 / 128)
    assert conditions.others_over_job(readings) == pytest.approx(6.3)
    assert conditions.others_over_job(_of_many_cpus(make, others=6.3, job=0.0)) is None
    assert conditions.others_over_job(make.attempt(load=None)) is None
    short = make.changed(readings, lambda r: {"job_cpu_s": r.t_s if r.t_s < 29 else None})
    assert conditions.others_over_job(short) is None


def _gap(make, watts, gap_s):
    """A second of 30 W, a gap, and nothing behind it; one package, of 100 kJ."""
    readings = make.measured(seconds=2.0)
    package = readings.meter.sensors[0].model_copy(update={"range_j": 100_000.0})
    meter = readings.meter.model_copy(update={"sensors": (package,)})
    times = (0.0, 1.0, 1.0 + gap_s)
    joules = (0.0, watts, watts + 30 * gap_s)
    taken = tuple(
        readings.readings[0].model_copy(update={"t_s": t, "sensors_j": (j,)})
        for t, j in zip(times, joules, strict=True)
    )
    return readings.model_copy(update={"meter": meter, "readings": taken})


@pytest.mark.parametrize(
    ("watts", "gap_s", "wrapped"),
    [
        (30.0, 199.0, False),  # 500 W could be drawn unseen: 99.5 kJ
        (30.0, 200.0, True),
        (1000.0, 66.0, False),  # 1.5 times the 1 kW that was seen: 99 kJ
        (1000.0, 67.0, True),
    ],
)
def test_a_gap_in_which_a_counter_may_have_gone_round(make, watts, gap_s, wrapped):
    assert conditions.wrapped(_gap(make, watts, gap_s)) is wrapped


def test_a_counter_of_unknown_range_cannot_be_judged(make):
    readings = _gap(make, 30.0, 900.0)
    sensor = readings.meter.sensors[0].model_copy(update={"range_j": None})
    meter = readings.meter.model_copy(update={"sensors": (sensor,)})
    assert not conditions.wrapped(readings.model_copy(update={"meter": meter}))
