"""What the comparison with the truth notices: joules of a wrong phase, boundaries told wrongly."""

import json
from datetime import UTC, datetime
from time import monotonic, time

import pytest

from tests.simulated.sensors import MARKS, READS, Sensors
from tests.simulated.traces import square
from tests.truth.runs import TOLERANCE, run_of

RAM_W = 20.0
ENDS_S = (1.0, 2.1, 3.3)
NAMES = (("setup", None), ("epoch", 0), ("epoch", 1))


@pytest.fixture
def told(tmp_path):
    """Makes a run of three phases; its boundaries are read and told with errors, in seconds."""
    sensors = Sensors(tmp_path)
    sensors.add("rapl", square(20, 120, 0.5))
    zero_s = sensors.all[0].trace.parts[0][0] + 0.2

    def make(*, read_late_s=0.0, told_late_s=0.0, extra=1.0):
        read_s = [zero_s, *(zero_s + end_s + read_late_s for end_s in ENDS_S)]
        counters = [sensors.all[0].trace.energy_j(at_s) * extra for at_s in read_s]
        starts_s = [0.0, *(end_s + told_late_s for end_s in ENDS_S)]
        phases = [
            {
                "name": name,
                "index": index,
                "start_s": starts_s[n],
                "duration_s": starts_s[n + 1] - starts_s[n],
                "energy_j": counters[n + 1] - counters[n] + RAM_W * (starts_s[n + 1] - starts_s[n]),
            }
            for n, (name, index) in enumerate(NAMES)
        ]
        energy = {
            "cpu": {"energy_j": counters[-1] - counters[0]},
            "ram": {"energy_j": RAM_W * starts_s[-1]},
        }
        report = {"phases": phases, "energy": energy, "duration_s": starts_s[-1]}
        _write_marks(tmp_path, zero_s)
        _write_reads(tmp_path, read_s)
        return run_of(report, _record(zero_s, starts_s), sensors, tmp_path / MARKS)

    return make


def _write_marks(folder, zero_s):
    begun = [("epoch", 0), ("epoch", 1), ("evaluation", None)]
    lines = [
        json.dumps(
            {
                "begins": begins,
                "index": index,
                "asked_s": zero_s + end_s - 1e-3,
                "went_s": zero_s + end_s + 1e-3,
            }
        )
        for (begins, index), end_s in zip(begun, ENDS_S, strict=True)
    ]
    (folder / MARKS).write_text("\n".join(lines) + "\n")


def _write_reads(folder, read_s):
    (folder / READS).write_text("".join(f"0 {at_s!r} 1\n" for at_s in read_s))


def _record(zero_s, starts_s):
    started_at = datetime.fromtimestamp(time() + zero_s + 2e-3 - monotonic(), UTC)
    return {"started_at": started_at.isoformat(), "readings": [{"t_s": t} for t in starts_s]}


def test_a_run_that_is_right_is_right_by_both(told):
    run = told()
    assert max(map(abs, run.phase_errors([0]).values())) < 1e-5
    assert run.outside_of_clock([0]) == {"epoch 0": 0.0, "epoch 1": 0.0}
    assert abs(run.component_error("cpu", [0])) < 1e-5


@pytest.mark.parametrize("late_s", [0.02, -0.02])
def test_joules_of_the_wrong_phase_are_noticed_by_the_trainings_clock(told, late_s):
    run = told(read_late_s=late_s, told_late_s=late_s)  # it agrees with itself
    assert max(run.outside_of_clock([0]).values()) > TOLERANCE


def test_a_boundary_that_is_told_wrongly_is_noticed_by_its_own_truth(told):
    run = told(told_late_s=0.02)
    assert max(map(abs, run.phase_errors([0]).values())) > TOLERANCE


def test_joules_too_many_are_noticed_in_total_and_phases(told):
    run = told(extra=1.01)
    assert run.component_error("cpu", [0]) == pytest.approx(0.01, abs=1e-4)
    assert max(run.outside_of_clock([0]).values()) > TOLERANCE
