"""Software Carbon Intensity (ISO/IEC 21031:2024): SCI = ((E × I) + M) per R.

E is the energy at the data centre's meter (components × PUE), I the location-based intensity, M the
embodied emissions of the hardware's share, which no report knows: without it there is no SCI, and
the operational part is stated alone.
"""

import json
from typing import Any, Literal

from app.domain.quantities import kwh_from_joules
from app.domain.reports import EnergyReport
from app.exports.known import energy_method
from app.words import report as words

Unit = Literal["training", "epoch", "sample"]
STANDARD = "ISO/IEC 21031:2024"


def sci(report: EnergyReport, unit: Unit = "training", embodied_g: float | None = None) -> str:
    """The SCI of a training as JSON; every field says how it is known.

    Args:
        report: of a job.
        unit: the functional unit R: the whole training, one of its epochs, or one trained sample.
        embodied_g: grams of CO2e of the hardware's making that fall to this training, all of it.
    """
    priced, count = report.emissions, _count(report, unit)
    energy_kwh = None
    if report.energy.total_j is not None:
        energy_kwh = kwh_from_joules(report.energy.total_j) * priced.pue
    operational_g = priced.co2e_g
    total_g = None
    if operational_g is not None and embodied_g is not None:
        total_g = operational_g + embodied_g
    body = {
        "standard": STANDARD,
        "functional_unit": unit,
        "units": _field(count, "count", "assumed" if words.told(report) else "measured"),
        "energy": _field(energy_kwh, "kWh", energy_method(report)),
        "intensity": _field(
            priced.intensity_g_per_kwh, "gCO2e/kWh", "assumed", source=priced.intensity_source
        ),
        "embodied": _field(embodied_g, "gCO2e", "assumed"),
        "operational_per_unit": _field(_per(operational_g, count), "gCO2e", energy_method(report)),
        "operational_per_unit_low": _field(
            _per(priced.low_g, count), "gCO2e", energy_method(report)
        ),
        "operational_per_unit_high": _field(
            _per(priced.high_g, count), "gCO2e", energy_method(report)
        ),
        "sci": _field(_per(total_g, count), "gCO2e", "assumed"),
        "reason": _reason(operational_g, embodied_g, count),
        "job_id": report.job_id,
    }
    return json.dumps(body, indent=2) + "\n"


def _field(value: float | None, unit: str, known: str, **more: Any) -> dict[str, Any]:
    """One figure; how it is known counts only where it has a value."""
    return {
        "value": value,
        "unit": unit,
        "known": "not known" if value is None else known,
        **more,
    }


def _count(report: EnergyReport, unit: Unit) -> int:
    if unit == "training":
        return 1
    if unit == "sample":
        return report.work.samples
    return sum(phase.name == "epoch" and phase.samples is not None for phase in report.phases)


def _per(grams: float | None, count: int) -> float | None:
    return None if grams is None or not count else grams / count


def _reason(operational_g: float | None, embodied_g: float | None, count: int) -> str | None:
    """Why there is no SCI; null where there is one."""
    if operational_g is None:
        return "no operational emissions: give a country or an intensity"
    if embodied_g is None:
        return (
            "no embodied emissions were given (M of the standard): the operational part is stated"
        )
    return None if count else "no functional unit was finished"
