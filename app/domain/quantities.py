"""Joules, watts, seconds, grams of CO2e: the only conversions."""

from pydantic import BaseModel, ConfigDict

JOULES_PER_KWH = 3_600_000.0


class Frozen(BaseModel):
    """A value: it never changes, holds finite numbers only and knows all of its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def kwh_from_joules(energy_j: float) -> float:
    """Kilowatt-hours of an energy in joules (1 kWh = 3.6 MJ exactly)."""
    return energy_j / JOULES_PER_KWH


def joules_from_kwh(energy_kwh: float) -> float:
    """Joules of an energy in kilowatt-hours (1 kWh = 3.6 MJ exactly)."""
    return energy_kwh * JOULES_PER_KWH


def co2e_g(energy_j: float, intensity_g_per_kwh: float, pue: float) -> float:
    """Grams of CO2e of an energy in joules: energy × PUE × carbon intensity."""
    return kwh_from_joules(energy_j) * pue * intensity_g_per_kwh


class CarbonIntensity(Frozen):
    """The price of a kilowatt-hour in grams of CO2e, where it comes from, and the PUE on top.

    `g_per_kwh` is null where no country is known; `reason` then says so (`no_country`).
    """

    g_per_kwh: float | None
    source: str | None
    year: int | None
    country_iso_code: str | None
    region: str | None
    pue: float
    reason: str | None
