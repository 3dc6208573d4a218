"""The report for a person, from reports made by hand."""

import io
import re
from datetime import UTC, datetime

import pytest
from rich.console import Console

from app.accounting.report import empty_report
from app.cli.report import render
from app.domain.jobs import JobStatus
from app.domain.quantities import CarbonIntensity
from app.domain.reports import EnergyReport
from app.domain.specs import JobSpec
from app.workloads import catalogue

ABSENT = {
    "energy_j": None,
    "low_j": None,
    "high_j": None,
    "interval": None,
    "method": "absent",
    "source": None,
}
REPORT = {
    "job_id": "job-1",
    "status": "succeeded",
    "spec_sha256": "00",
    "started_at": "2026-11-24T20:00:00Z",
    "finished_at": "2026-11-24T20:00:20Z",
    "duration_s": 20.0,
    "mean_power_w": 28.0,
    "energy": {
        "complete": True,
        "cpu": {
            "energy_j": 160.0,
            "low_j": 38.0,
            "high_j": 480.0,
            "interval": "published_models",
            "method": "estimated",
            "source": "codecarbon cpu_load",
            "corrections": [
                {"name": "socket_share", "factor": 0.0625, "message": "2 of 32 threads are ours"}
            ],
        },
        "gpu": ABSENT,
        "ram": {
            "energy_j": 400.0,
            "low_j": 48.0,
            "high_j": 400.0,
            "interval": "published_models",
            "method": "assumed",
            "source": "codecarbon, 20 W flat",
        },
        "total_j": 560.0,
        "total_kwh": 0.00015556,
        "low_j": 86.0,
        "high_j": 880.0,
        "baseline": {"power_w": 20.8, "energy_j": 416.0, "method": "estimated", "window_s": None},
        "net_j": 144.0,
        "net_low_j": 30.0,
        "net_high_j": 480.0,
        "wall": {"energy_j": 745.0, "low_j": 99.0, "high_j": 1364.0, "method": "estimated"},
        "spent_j": 760.0,
    },
    "stock_codecarbon": {
        "cpu_kwh": 0.0000444,
        "ram_kwh": 0.0001111,
        "gpu_kwh": None,
        "total_kwh": 0.0001555,
        "emissions_kg": 0.0000087,
    },
    "emissions": {
        "co2e_g": 0.00872,
        "low_g": 0.00134,
        "high_g": 0.0137,
        "intensity_g_per_kwh": 56.04,
        "intensity_source": "codecarbon global_energy_mix",
        "intensity_year": 2023,
        "country_iso_code": "FRA",
        "region": None,
        "pue": 1.2,
        "reason": None,
    },
    "phases": [
        {
            "name": "setup",
            "index": None,
            "start_s": 0.0,
            "duration_s": 1.4,
            "energy_j": 39.2,
            "samples": None,
            "loss": None,
            "train_accuracy": None,
            "validation_accuracy": None,
        },
        {
            "name": "epoch",
            "index": 0,
            "start_s": 1.4,
            "duration_s": 6.0,
            "energy_j": 168.0,
            "samples": 4000,
            "loss": 0.61,
            "train_accuracy": 0.82,
            "validation_accuracy": 0.91,
        },
    ],
    "power": {"t_s": [], "cpu_w": [], "gpu_w": [], "ram_w": []},
    "work": {
        "parameters": 225034,
        "layers": 7,
        "flops_per_sample": 15396864,
        "samples": 12000,
        "flops": 184762368000,
        "training_s": 17.9,
        "achieved_flops_per_s": 1.03e10,
    },
    "quality": {"test_accuracy": 0.96, "test_loss": 0.12, "best_epoch": 2},
    "efficiency": {
        "training_j": 501.0,
        "j_per_sample": 0.0418,
        "j_per_epoch": 167.0,
        "flops_per_j": 3.69e8,
        "j_to_target": None,
        "j_after_best_epoch": 0.0,
    },
    "trust": {
        "grade": "D",
        "reasons": [{"code": "cpu_power_guessed", "message": "The CPU's power is a guess."}],
        "contention_share": 0.03,
        "steal_s": 0.0,
        "largest_sample_gap_s": 1.1,
        "instrument_cpu_s": 0.02,
        "instrument_j": 0.08,
    },
    "attempts": [
        {"attempt": 1, "ended": "lost", "energy_j": 200.0},
        {"attempt": 2, "ended": "succeeded", "energy_j": 560.0},
    ],
    "environment": None,
    "assumptions": {"set": "codecarbon", "version": "1", "overrides": {}},
    "readings_sha256": "0f",
}


def shown(report: EnergyReport) -> str:
    out = io.StringIO()
    render(report, Console(file=out, width=80, highlight=False))
    return out.getvalue()


@pytest.fixture
def text() -> str:
    return shown(EnergyReport.model_validate(REPORT))


@pytest.mark.parametrize(
    "words",
    [
        "560 J (86.0–880 J; range of the published models)",
        "144 J (30.0–480 J); idle power 20.8 W, estimated by its model",
        "at most 20.0 ms of CPU time, about 80.0 mJ, in the energy above",
        "28.0 W on average over 20.0 s",
        "8.72 mg (1.34–13.7 mg) at 56.0 g/kWh (FRA,",
        "2023, PUE 1.20",
        "41.8 mJ (12,000 samples trained)",
        "96.0 % on the test set, loss 0.120; best epoch 3",
        "grade D",
        "- The CPU's power is a guess.",
        "about 745 J (99.0–1,360 J; estimated)",
        "560 J by its own accounting, 8.70 mg CO2e",
        "760 J in all attempts together",
        "CPU corrected × 0.0625: 2 of 32 threads are ours",
    ],
)
def test_the_headlines_are_there(text, words):
    assert words in " ".join(text.split())


def test_it_fits_eighty_columns_and_needs_no_colour(text):
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text


def test_components_phases_and_attempts_have_a_line_each(text):
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "CPU 160 J 38.0–480 J estimated codecarbon cpu_load" in lines
    assert "GPU — — absent —" in lines
    assert "epoch 1 168 J 6.00 s 0.610 train 82.0 %, validation 91.0 %" in lines
    assert "1 lost 200 J" in lines


def test_a_notable_setup_and_the_reason_of_an_assumption_are_said():
    setup = REPORT["phases"][0] | {"energy_j": 140.0}
    ram = REPORT["energy"]["ram"] | {"reason": "no sensor"}
    changed = {"phases": [setup], "energy": REPORT["energy"] | {"ram": ram}}
    text = shown(EnergyReport.model_validate(REPORT | changed))
    assert "of which setup 25.0 %" in text
    assert "RAM is assumed: no sensor" in text
    assert "of which setup" not in shown(EnergyReport.model_validate(REPORT))


def test_a_lower_bound_says_so_and_why():
    gpu = ABSENT | {"method": "unavailable", "reason": "no permission", "source": "NVML"}
    energy = REPORT["energy"] | {"complete": False, "gpu": gpu}
    text = shown(EnergyReport.model_validate(REPORT | {"energy": energy}))
    assert "at least 560 J" in text
    assert "GPU cannot be read: no permission" in text


def _changed(**changes):
    """The text of the report with some of its parts' fields changed."""
    parts = {name: REPORT[name] | fields for name, fields in changes.items()}
    return " ".join(shown(EnergyReport.model_validate(REPORT | parts)).split())


def test_a_measured_baseline_says_over_which_window():
    baseline = {"power_w": 35.0, "energy_j": 700.0, "method": "measured", "window_s": 60.0}
    text = _changed(energy={"baseline": baseline})
    assert "idle power 35.0 W, measured over 60.0 s" in text


def test_without_a_baseline_there_is_nothing_above_idle():
    unknown = {"power_w": None, "energy_j": None, "method": "unavailable", "window_s": None}
    none = {"baseline": unknown, "net_j": None, "net_low_j": None, "net_high_j": None}
    assert "Above idle — (idle power is not known)" in _changed(energy=none)


def test_a_sensor_that_is_left_out_is_named():
    cpu = REPORT["energy"]["cpu"] | {
        "method": "measured",
        "interval": "sensor_error",
        "reason": "not counted: package-1",
    }
    text = _changed(energy={"cpu": cpu, "complete": False})
    assert "CPU is not complete: not counted: package-1" in text
    assert "at least 560 J" in text


def test_other_assumptions_and_what_the_user_knew_are_shown():
    assert "Assumptions" not in _changed()
    known = {"cpu_tdp_w": 280.0, "vcpu_is_core": True}
    text = _changed(assumptions={"set": "specpower", "overrides": known})
    assert "Assumptions set specpower 1; cpu_tdp_w = 280; vcpu_is_core = true" in text
    assert "Assumptions cpu_tdp_w = 280;" in _changed(assumptions={"overrides": known})


def test_the_speed_is_set_against_the_hosts_peak_where_that_is_known():
    assert "Speed 10.3 GFLOP/s Accuracy" in _changed()
    peak = {"matmul_flops_per_s": 1.03e11, "matmul_share": 0.1}
    expected = "10.3 GFLOP/s, 10.0 % of this host's matrix product (103 GFLOP/s)"
    assert expected in _changed(work=peak)
    assert "Speed" not in _changed(work={"achieved_flops_per_s": None})


def test_an_early_stop_says_what_came_after_the_best_epoch():
    text = _changed(quality={"stopped_by": "early_stopping"}, efficiency={"j_after_best_epoch": 9})
    assert "Stopped early, with 9.00 J of training after the best epoch" in text
    assert "Stopped" not in _changed(quality={"stopped_by": "epochs"})


@pytest.mark.parametrize(("waited_s", "told"), [(None, False), (0.02, False), (7.0, True)])
def test_a_wait_for_quiet_is_shown_where_it_was_noticed(waited_s, told):
    """The same seconds hold the wait for a first idle window, so that both are named."""
    text = _changed(trust={"waited_for_quiet_s": waited_s})
    assert ("7.00 s before the run, for a quiet host or its idle power" in text) is told


def test_without_a_country_the_option_is_named():
    nothing = dict.fromkeys(REPORT["emissions"], None)
    emissions = nothing | {"pue": 1.0, "reason": "no_country"}
    text = shown(EnergyReport.model_validate(REPORT | {"emissions": emissions}))
    assert "no country set (--country FRA)" in text


def test_why_it_ended_and_whether_it_reached_its_target():
    quality = REPORT["quality"] | {"target_reached": True}
    efficiency = REPORT["efficiency"] | {"j_to_target": 334.0}
    report = EnergyReport.model_validate(REPORT | {"quality": quality, "efficiency": efficiency})
    out = io.StringIO()
    render(report, Console(file=out, width=80), why="stopped at 5.1 J")
    assert "stopped at 5.1 J\n" in out.getvalue()
    assert re.search(r"Target +reached, with 334 J of training", out.getvalue())
    missed = EnergyReport.model_validate(REPORT | {"quality": quality | {"target_reached": False}})
    assert re.search(r"Target +not reached", shown(missed))
    assert "Target" not in shown(EnergyReport.model_validate(REPORT))


def test_a_job_that_waited_to_run_again_shows_what_it_used():
    energy = REPORT["energy"] | {"total_j": None, "spent_j": 135.9}
    attempts = [{"attempt": 1, "ended": "stopped", "energy_j": 135.9}]
    none = {"duration_s": 0.0, "mean_power_w": None, "readings_sha256": None}
    waited = {"energy": energy, "attempts": attempts, **none}
    text = shown(EnergyReport.model_validate(REPORT | waited))
    assert "— (it waited to run again)" in text
    assert "136 J in all attempts together" in text
    assert re.search(r"1 +stopped +136 J", text)


def test_a_job_that_never_ran_has_dashes_with_the_reason():
    spec = JobSpec(model_type="cnn")
    report = empty_report(
        job_id="job-2",
        spec=spec,
        status=JobStatus.CANCELLED,
        work=catalogue.facts(spec),
        intensity=CarbonIntensity(
            g_per_kwh=56.0,
            source="given in the spec",
            year=None,
            country_iso_code=None,
            region=None,
            pue=1.0,
            reason=None,
        ),
        finished_at=datetime(2026, 11, 24, tzinfo=UTC),
    )
    text = shown(report)
    assert "Energy report of job job-2 (cancelled)" in text
    for name in ("Energy", "Above idle", "CO2e", "At the plug", "codecarbon"):
        assert any(
            line.startswith(name) and "— (the job never ran)" in line for line in text.splitlines()
        ), name
    assert "— (no training phase was finished)" in text
    assert "— (the test set was not reached)" in text
    assert "None" not in text
