"""One job as a user has it, over real HTTP, from the spec to the report."""

import pytest

FIELDS = {
    "model_type": "cnn",
    "size": "base",
    "epochs": 2,
    "dataset": {"name": "mnist5k", "samples": 1000},
    "carbon": {"country_iso_code": "FRA", "pue": 1.2},
}


@pytest.fixture(scope="module")
def report(service):
    job_id = service.submit(**FIELDS)
    job = service.until(job_id, lambda job: job["status"] not in {"queued", "running"})
    assert job["status"] == "succeeded", job
    return service.report(job_id)


def test_components_add_up_to_the_total(report):
    energy = report["energy"]
    parts = [energy[name]["energy_j"] for name in ("cpu", "gpu", "ram")]
    assert sum(part for part in parts if part is not None) == pytest.approx(energy["total_j"])
    assert energy["low_j"] <= energy["total_j"] <= energy["high_j"]


def test_phases_add_up_to_the_total_within_a_thousandth(report):
    phases = report["phases"]
    total_j = report["energy"]["total_j"]
    assert sum(phase["energy_j"] for phase in phases) == pytest.approx(total_j, rel=1e-3)
    assert sum(p["duration_s"] for p in phases) == pytest.approx(report["duration_s"], rel=1e-3)
    names = [(phase["name"], phase["index"]) for phase in phases]
    assert names == [
        ("setup", None),
        ("epoch", 0),
        ("validation", 0),
        ("epoch", 1),
        ("validation", 1),
        ("evaluation", None),
        ("end", None),
    ]


def test_what_was_achieved_is_there(report):
    assert report["work"]["parameters"] == 225_034
    assert report["work"]["flops"] == 2 * 1000 * 15_396_864
    assert report["quality"]["test_accuracy"] > 0.6
    training_j = report["efficiency"]["training_j"]
    assert report["efficiency"]["j_per_sample"] == pytest.approx(training_j / 2000)


def test_emissions_are_total_times_pue_times_intensity(report):
    emissions = report["emissions"]
    expected_g = report["energy"]["total_j"] / 3.6e6 * 1.2 * emissions["intensity_g_per_kwh"]
    assert emissions["co2e_g"] == pytest.approx(expected_g)
    assert emissions["country_iso_code"] == "FRA"


def test_the_grade_has_reasons(report):
    assert report["trust"]["grade"] in "ABCDEF"
    assert all(reason["message"] for reason in report["trust"]["reasons"])
    assert "short_run" in {reason["code"] for reason in report["trust"]["reasons"]}


def test_readings_and_report_belong_together(service, report):
    readings = service.http.get(f"/v1/jobs/{report['job_id']}/readings").json()
    assert readings["readings"][0]["t_s"] == 0
    assert readings["readings"][-1]["t_s"] == pytest.approx(report["duration_s"])


def test_a_second_job_is_right_too(service, report):
    job_id = service.submit(**FIELDS)
    service.until(job_id, lambda job: job["status"] == "succeeded")
    second = service.report(job_id)
    assert second["quality"] == report["quality"]  # the same spec, the same host
    ram = second["energy"]["ram"]
    power_w = ram["energy_j"] / second["duration_s"]
    assert power_w == pytest.approx(
        report["energy"]["ram"]["energy_j"] / report["duration_s"], rel=0.02
    )


def test_a_job_that_was_ended_at_once_says_too_short_or_has_a_figure(service):
    job_id = service.submit(**FIELDS | {"epochs": 10_000, "limits": {"timeout_s": 0.05}})
    job = service.until(job_id, lambda job: job["status"] == "timed_out")
    report = service.report(job_id)
    assert job["error"]["code"] == "timeout"
    codes = {reason["code"] for reason in report["trust"]["reasons"]}
    assert report["duration_s"] >= 0.05
    assert ("too_short" in codes) == (report["duration_s"] < 0.3)
    assert (report["energy"]["total_j"] is None) == ("too_short" in codes)


def test_a_job_of_half_a_second_has_a_figure(service):
    job_id = service.submit(**FIELDS | {"epochs": 10_000, "limits": {"timeout_s": 0.5}})
    service.until(job_id, lambda job: job["status"] == "timed_out")
    report = service.report(job_id)
    assert report["energy"]["total_j"] > 0
    assert report["energy"]["low_j"] > 0
