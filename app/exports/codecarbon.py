"""codecarbon's `emissions.csv`: one line, column for column as codecarbon 3.3.2 writes it.

Figures are those of the report, with its corrections; what a report does not know is empty.
"""

import csv
import io
from typing import Any

from app.domain.quantities import kwh_from_joules
from app.domain.reports import Component, EnergyReport

PROJECT = "trainwatt"


def emissions_csv(report: EnergyReport) -> str:
    """The header line and the line of a report; kWh, kg of CO2e, W, s, GB as in codecarbon."""
    row = _row(report)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(row), lineterminator="\n")
    writer.writeheader()
    writer.writerow(row)
    return text.getvalue()


def _row(report: EnergyReport) -> dict[str, Any]:
    energy, priced, where = report.energy, report.emissions, report.environment
    kg = None if priced.co2e_g is None else priced.co2e_g / 1000
    return {
        "timestamp": report.finished_at and report.finished_at.strftime("%Y-%m-%dT%H:%M:%S"),
        "project_name": PROJECT,
        "run_id": report.job_id,
        "experiment_id": None,
        "duration": report.duration_s,
        "emissions": kg,
        "emissions_rate": kg / report.duration_s if kg is not None and report.duration_s else None,
        "cpu_power": _power_w(energy.cpu, report),
        "gpu_power": _power_w(energy.gpu, report),
        "ram_power": _power_w(energy.ram, report),
        "cpu_energy": _kwh(energy.cpu.energy_j),
        "gpu_energy": _kwh(energy.gpu.energy_j),
        "ram_energy": _kwh(energy.ram.energy_j),
        "energy_consumed": energy.total_kwh,
        "water_consumed": None,
        "country_name": None,
        "country_iso_code": priced.country_iso_code,
        "region": priced.region,
        "cloud_provider": None,
        "cloud_region": None,
        "os": where and where.os,
        "python_version": where and where.python,
        "codecarbon_version": where and where.codecarbon,
        "cpu_count": where and where.logical_cpus,
        "cpu_model": where and where.cpu_model,
        "gpu_count": where and len(where.gpus),
        "gpu_model": where and ", ".join(where.gpus),
        "longitude": None,
        "latitude": None,
        "ram_total_size": where and where.memory_gib,
        "tracking_mode": "machine",
        "cpu_utilization_percent": None,
        "gpu_utilization_percent": None,
        "ram_utilization_percent": None,
        "ram_used_gb": None,
        "on_cloud": "N",
        "pue": priced.pue,
        "wue": None,
    }


def _kwh(joules: float | None) -> float | None:
    return None if joules is None else kwh_from_joules(joules)


def _power_w(part: Component, report: EnergyReport) -> float | None:
    if part.energy_j is None or not report.duration_s:
        return None
    return part.energy_j / report.duration_s
