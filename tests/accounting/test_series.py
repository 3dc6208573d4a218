"""Counters as differences, loads, and what makes a counter unusable."""

import pytest

from app.accounting import series
from app.accounting.series import Fault, Load
from app.domain.readings import Reading


def test_joules_count_from_the_first_reading():
    assert series.cumulative([0, 1, 2], [5.0, 7.0, 10.0], sensor=True) == (0.0, 2.0, 5.0)


def test_a_missing_value_is_filled_by_time():
    assert series.cumulative([0, 1, 4], [5.0, None, 9.0], sensor=True) == (0.0, 1.0, 4.0)


@pytest.mark.parametrize(
    ("t_s", "counter", "code"),
    [
        ([0, 1], [None, 1.0], "counter_lost"),
        ([0, 1], [1.0, None], "counter_lost"),
        ([0, 1, 2], [1.0, 5.0, 4.0], "counter_jumped"),
        ([0, 1, 2, 3], [1.0, 5.0, None, 4.0], "counter_lost"),
        ([0, 1, 2, 3, 4], [1.0, None, None, -7.0, -6.0], "counter_lost"),
        ([0, 1, 2, 3, 4], [1.0, None, 3.0, 2.0, 6.0], "counter_jumped"),
        ([0, 1, 2, 3, 4], [1.0, 5.0, 5.0, 5.0, 5.0], "counter_stopped"),
    ],
)
def test_faults(t_s, counter, code):
    found = series.cumulative(t_s, counter, sensor=True)
    assert isinstance(found, Fault)
    assert found.code == code


def test_a_counter_that_began_anew_after_a_time_without_a_value_says_so():
    lost = series.cumulative([0, 1, 2, 3], [1.0, 5.0, None, 4.0], sensor=True)
    assert "gave no value in between" in lost.reason
    jumped = series.cumulative([0, 1, 2], [1.0, 5.0, 4.0], sensor=True)
    assert "went backwards" in jumped.reason


def test_a_counter_may_stand_still_for_two_seconds_and_a_model_for_ever():
    assert series.cumulative([0, 1, 2, 3], [0.0, 0.0, 0.0, 9.0], sensor=True) == (0, 0, 0, 9)
    assert series.cumulative([0, 9], [4.0, 4.0], sensor=False) == (0.0, 0.0)


def _with_busy(readings, busy):
    items = tuple(
        Reading(t_s=t, cpu_j=None, gpu_j=None, ram_j=None, host_busy_s=b) for t, b in busy
    )
    return readings.model_copy(update={"readings": items})


def test_loads_between_known_readings(attempt):
    readings = _with_busy(attempt(), [(0, None), (1, 10.0), (2, None), (3, 12.0), (4, 15.0)])
    # 2 CPUs: 2 CPU-s in 2 s are half of it; 3 CPU-s in 1 s are more than there is
    assert series.loads(readings) == (Load(1, None), Load(2, 0.5), Load(1, 1.0))


def test_loads_without_a_counter_or_after_its_reset(attempt):
    assert series.loads(_with_busy(attempt(), [(0, None), (3, None)])) == (Load(3, None),)
    assert series.loads(_with_busy(attempt(), [(0, 5.0), (3, 1.0)])) == (Load(3, None),)


def test_difference():
    assert series.difference([None, 2.0, 5.0, None]) == 3.0
    assert series.difference([None, 2.0]) is None


def test_a_missing_value_stays_between_its_neighbours_where_times_are_equal():
    found = series.cumulative((0.0, 1.0, 1.0, 1.0, 2.0), (0.0, 5.0, 9.0, None, 10.0), sensor=False)
    assert found == (0.0, 5.0, 9.0, 9.0, 10.0)


def test_a_missing_value_in_a_sum_of_samples_is_missing_for_good():
    found = series.cumulative([0, 1, 4], [5.0, None, 9.0], sensor=True, sampled=True)
    assert isinstance(found, Fault)
    assert found.code == "counter_lost"
    assert series.cumulative([0, 1], [5.0, 9.0], sensor=True, sampled=True) == (0.0, 4.0)
