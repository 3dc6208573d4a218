"""What energy costs in CO2e, and codecarbon's own accounting of the same window."""

from app.accounting.parts import Parts
from app.domain.quantities import CarbonIntensity, co2e_g, kwh_from_joules
from app.domain.reports import Emissions, Energy, StockCodecarbon


def emissions(energy: Energy, intensity: CarbonIntensity) -> Emissions:
    """Grams of CO2e of total, low and high; null with `no_country` or `no_energy`."""
    return Emissions(
        co2e_g=_grams(energy.total_j, intensity),
        low_g=_grams(energy.low_j, intensity),
        high_g=_grams(energy.high_j, intensity),
        intensity_g_per_kwh=intensity.g_per_kwh,
        intensity_source=intensity.source,
        intensity_year=intensity.year,
        country_iso_code=intensity.country_iso_code,
        region=intensity.region,
        pue=intensity.pue,
        reason=_reason(energy, intensity),
    )


def _grams(energy_j: float | None, intensity: CarbonIntensity) -> float | None:
    if energy_j is None or intensity.g_per_kwh is None:
        return None
    return co2e_g(energy_j, intensity.g_per_kwh, intensity.pue)


def _reason(energy: Energy, intensity: CarbonIntensity) -> str | None:
    if intensity.g_per_kwh is None:
        return intensity.reason
    return "no_energy" if energy.total_j is None else None


def stock_codecarbon(parts: Parts, intensity: CarbonIntensity) -> StockCodecarbon:
    """Kilowatt-hours as codecarbon counted them, and kilograms = kWh × PUE × intensity."""
    kwh = [None if part.raw_j is None else kwh_from_joules(part.raw_j) for part in parts.all]
    known = [value for value in kwh if value is not None]
    total_kwh = sum(known) if known else None
    cpu_kwh, gpu_kwh, ram_kwh = kwh
    return StockCodecarbon(
        cpu_kwh=cpu_kwh,
        ram_kwh=ram_kwh,
        gpu_kwh=gpu_kwh,
        total_kwh=total_kwh,
        emissions_kg=_kilograms(total_kwh, intensity),
    )


def _kilograms(energy_kwh: float | None, intensity: CarbonIntensity) -> float | None:
    if energy_kwh is None or intensity.g_per_kwh is None:
        return None
    return energy_kwh * intensity.pue * intensity.g_per_kwh / 1000
