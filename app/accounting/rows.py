"""A report flattened to one row of a table."""

import json
from datetime import datetime
from typing import Any

from app.accounting.trained import trained
from app.domain.external import Asked
from app.domain.quantities import Frozen
from app.domain.report_rows import ReportRow
from app.domain.reports import Component, EnergyReport
from app.domain.specs import JobSpec

EXECUTION = ("mode", "precision", "jit_compile", "steps_per_execution", "input_pipeline")


def row(report: EnergyReport, *, spec: Asked, created_at: datetime) -> ReportRow:
    """The row of a report; `created_at` is when its job was submitted, in UTC."""
    energy, emissions, work = report.energy, report.emissions, report.work
    return ReportRow(
        job_id=report.job_id,
        status=report.status,
        created_at=created_at,
        started_at=report.started_at,
        finished_at=report.finished_at,
        host=report.environment.host if report.environment else None,
        attempts=len(report.attempts),
        **_asked(spec),
        spec_sha256=report.spec_sha256,
        duration_s=report.duration_s,
        mean_power_w=report.mean_power_w,
        **_component("cpu", energy.cpu),
        **_component("gpu", energy.gpu),
        **_component("ram", energy.ram),
        energy_total_j=energy.total_j,
        energy_total_low_j=energy.low_j,
        energy_total_high_j=energy.high_j,
        complete=energy.complete,
        energy_baseline_j=energy.baseline.energy_j,
        energy_net_j=energy.net_j,
        energy_wall_j=energy.wall.energy_j,
        energy_wall_low_j=energy.wall.low_j,
        energy_wall_high_j=energy.wall.high_j,
        energy_spent_j=energy.spent_j,
        codecarbon_kwh=report.stock_codecarbon.total_kwh,
        co2e_g=emissions.co2e_g,
        co2e_low_g=emissions.low_g,
        co2e_high_g=emissions.high_g,
        intensity_g_per_kwh=emissions.intensity_g_per_kwh,
        country_iso_code=emissions.country_iso_code,
        region=emissions.region,
        pue=emissions.pue,
        **_known(work),
        test_accuracy=report.quality.test_accuracy,
        test_loss=report.quality.test_loss,
        best_epoch=report.quality.best_epoch,
        best_validation_accuracy=report.quality.best_validation_accuracy,
        **_known(report.efficiency),
        grade=report.trust.grade,
        reasons=" ".join(reason.code for reason in report.trust.reasons),
        contention_share=report.trust.contention_share,
        steal_s=report.trust.steal_s,
        threads=report.environment.threads if report.environment else None,
        assumptions=report.assumptions.set,
        readings_sha256=report.readings_sha256,
        target_accuracy=spec.target_accuracy,
        target_reached=report.quality.target_reached,
        label_noise=spec.dataset.label_noise if isinstance(spec, JobSpec) else None,
        **_execution(report),
        stopped_by=report.quality.stopped_by,
        energy_net_low_j=energy.net_low_j,
        energy_net_high_j=energy.net_high_j,
        service_share=report.trust.service_share,
        waited_for_quiet_s=report.trust.waited_for_quiet_s,
        overrides=json.dumps(report.assumptions.overrides, sort_keys=True),
    )


def _asked(spec: Asked) -> dict[str, Any]:
    return {
        **dict(trained(spec)),
        "precision": spec.execution.precision if isinstance(spec, JobSpec) else None,
        "tags": json.dumps(spec.tags, sort_keys=True, ensure_ascii=False),
    }


def _execution(report: EnergyReport) -> dict[str, Any]:
    """What each setting was in the end; null where it is not known, or has no meaning."""
    used = report.environment.execution if report.environment else {}
    return {f"execution_{name}": used.get(name) for name in EXECUTION}


def _known(part: Frozen) -> dict[str, Any]:
    """Those of its figures that are columns, named alike."""
    return {name: value for name, value in part if name in ReportRow.model_fields}


def _component(name: str, component: Component) -> dict[str, Any]:
    return {
        f"energy_{name}_j": component.energy_j,
        f"energy_{name}_low_j": component.low_j,
        f"energy_{name}_high_j": component.high_j,
        f"energy_{name}_method": component.method,
    }
