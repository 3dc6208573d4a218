"""A report flattened: nothing lost on the way, columns that never move."""

import json
from datetime import UTC, datetime

import pytest

from app.accounting.report import empty_report
from app.accounting.rows import row
from app.domain.jobs import JobStatus
from app.domain.report_rows import ReportRow
from app.domain.specs import JobSpec

CREATED = datetime(2026, 11, 24, 19, 59, tzinfo=UTC)
SPEC = JobSpec.model_validate(
    {
        "model_type": "rnn",
        "size": {"width": 1.5, "depth": 2},
        "epochs": 2,
        "dataset": {"name": "digits", "samples": 500},
        "tags": {"team": "vision", "a": 'ü,"\n'},
    }
)


@pytest.fixture
def of(make):
    """The report of an attempt and its row."""
    report = make.evaluate(make.attempt(), spec=SPEC)
    return report, row(report, spec=SPEC, created_at=CREATED)


def test_every_figure_is_the_report_s(of):
    report, flat = of
    energy = report.energy
    assert flat.energy_total_j == energy.total_j
    assert (flat.energy_total_low_j, flat.energy_total_high_j) == (energy.low_j, energy.high_j)
    assert flat.energy_cpu_j + flat.energy_ram_j == pytest.approx(flat.energy_total_j)
    assert (flat.energy_gpu_j, flat.energy_gpu_method) == (None, "absent")
    assert (flat.energy_net_j, flat.energy_wall_j) == (energy.net_j, energy.wall.energy_j)
    assert flat.energy_spent_j == energy.spent_j
    assert flat.co2e_g == report.emissions.co2e_g
    assert flat.co2e_g == pytest.approx(flat.energy_total_j / 3.6e6 * flat.intensity_g_per_kwh)
    for part in (report.work, report.quality, report.efficiency):
        named = {name: value for name, value in part if name in ReportRow.model_fields}
        assert len(named) >= 3
        assert {name: getattr(flat, name) for name in named} == named
    assert flat.reasons.split(" ") == [reason.code for reason in report.trust.reasons]
    assert (flat.host, flat.attempts) == (report.environment.host, 1)


def test_what_was_asked_for_stands_in_cells(of):
    _, flat = of
    assert (flat.model_type, flat.size) == ("rnn", "width=1.5,depth=2")
    assert (flat.dataset, flat.dataset_samples) == ("digits", 500)
    assert json.loads(flat.tags) == SPEC.tags
    assert flat.created_at == CREATED


def test_a_row_without_a_run_has_no_figures(intensity, work):
    report = empty_report(
        job_id="j",
        spec=SPEC,
        status=JobStatus.CANCELLED,
        work=work,
        intensity=intensity(),
        finished_at=CREATED,
        earlier=(),
    )
    flat = row(report, spec=SPEC, created_at=CREATED)
    assert (flat.energy_total_j, flat.co2e_g, flat.j_per_sample, flat.host) == (None,) * 4
    assert (flat.duration_s, flat.attempts, flat.status) == (0, 0, "cancelled")


def test_every_cell_is_flat(of):
    values = json.loads(of[1].model_dump_json()).values()
    assert not any(isinstance(value, dict | list) for value in values)


def test_the_columns_stay_where_they_are():
    """Users address them by place too: a new one comes at the end."""
    columns = list(ReportRow.model_fields)
    assert columns[:7] == [
        "job_id",
        "status",
        "created_at",
        "started_at",
        "finished_at",
        "host",
        "attempts",
    ]
    assert columns.index("energy_cpu_j") == 20
    assert columns.index("energy_total_j") == 32
    assert columns.index("j_per_sample") == 61
    assert columns.index("target_reached") == 74
    assert columns[-4:] == [
        "service_share",
        "waited_for_quiet_s",
        "overrides",
        "best_validation_accuracy",
    ]
