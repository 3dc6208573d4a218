"""The report of a training that ran outside of the service."""

import pytest

from app.accounting.posted import account
from app.accounting.rows import row
from app.domain.external import EXTERNAL, NOT_TOLD
from app.domain.quantities import CarbonIntensity
from app.domain.readings import Phase

PRICE = CarbonIntensity(
    g_per_kwh=36.0,
    source="given",
    year=None,
    country_iso_code=None,
    region=None,
    pue=1.0,
    reason=None,
)


def test_energy_phases_and_quality_come_from_the_readings(make_posted):
    posted = make_posted(epochs=1, target_accuracy=0.8)
    made = account(posted, PRICE)
    assert (made.job_id, made.spec_sha256) == (posted.job_id, posted.training.sha256())
    assert made.energy.total_j == pytest.approx(200)
    assert made.emissions.co2e_g == pytest.approx(200 / 3.6e6 * 36)
    assert [phase.name for phase in made.phases] == [
        Phase.SETUP,
        Phase.EPOCH,
        Phase.VALIDATION,
        Phase.OTHER,
        Phase.EVALUATION,
    ]
    assert sum(phase.energy_j for phase in made.phases) == pytest.approx(200)
    assert made.efficiency.j_per_sample == pytest.approx(80 / 4000)
    assert (made.quality.test_accuracy, made.quality.target_reached) == (0.91, True)
    assert made.work.flops_reason == NOT_TOLD


def test_what_was_told_stands_in_report_and_row(make_posted):
    posted = make_posted(
        framework="torch 2.9.1", parameters=9, flops_per_sample=100, tags={"a": "b"}
    )
    made = account(posted, PRICE)
    assert made.environment.execution == {"framework": "torch 2.9.1"}
    assert (made.work.parameters, made.work.flops, made.work.layers) == (9, 400_000, None)
    flat = row(made, spec=posted.training, created_at=made.finished_at)
    assert (flat.model_type, flat.model_name, flat.size) == (EXTERNAL, "my net", None)
    assert (flat.dataset, flat.epochs, flat.precision, flat.tags) == (
        "mine",
        None,
        None,
        '{"a": "b"}',
    )
