"""How a figure of a report is known, for the formats that say it of each field."""

from app.domain.readings import Method
from app.domain.reports import EnergyReport

ORDER = (Method.MEASURED, Method.ESTIMATED, Method.ASSUMED)


def energy_method(report: EnergyReport) -> str:
    """How the total is known: as the least known of the components that are in it."""
    parts = (report.energy.cpu, report.energy.gpu, report.energy.ram)
    methods = [part.method for part in parts if part.energy_j is not None]
    if not methods:
        return "not known"
    worst = max(methods, key=lambda method: ORDER.index(method) if method in ORDER else 0)
    mixed = " in part" if len(set(methods)) > 1 else ""
    return f"{worst.value}{mixed}"
