"""The section of a Hugging Face model card: YAML metadata with the exact keys that the Hub reads.

https://huggingface.co/docs/hub/model-cards-co2 (2022): `co2_eq_emissions` with `emissions` in
grams, `source`, `training_type`, `geographical_location`, `hardware_used`.
"""

import json

from app.domain.reports import EnergyReport, Environment
from app.exports.known import energy_method
from app.words import report as words
from app.words.units import interval, quantity


def model_card(report: EnergyReport) -> str:
    """The metadata between its lines of dashes, and a sentence for the card's text.

    Emissions are left out where the report has none: a null is no figure for a card.
    """
    priced = report.emissions
    entries: dict[str, float | str] = {}
    if priced.co2e_g is not None:
        entries["emissions"] = priced.co2e_g
    entries["source"] = f"trainwatt on codecarbon, energy {energy_method(report)}"
    if not words.told(report):
        entries["training_type"] = "pre-training"
    place = ", ".join(filter(None, [priced.region, priced.country_iso_code]))
    if place:
        entries["geographical_location"] = place
    if report.environment:
        entries["hardware_used"] = _hardware(report.environment)
    lines = [
        f"  {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in entries.items()
    ]
    metadata = "\n".join(["---", "co2_eq_emissions:", *lines, "---"])
    return f"{metadata}\n\n## Environmental impact\n\n{_sentence(report)}\n"


def _hardware(where: Environment) -> str:
    gpus = f", {len(where.gpus)} GPU ({', '.join(where.gpus)})" if where.gpus else ""
    return f"{where.logical_cpus} CPUs ({where.cpu_model or 'unknown model'}){gpus}"


def _sentence(report: EnergyReport) -> str:
    energy, priced = report.energy, report.emissions
    if energy.total_j is None:
        return "The energy of this training is not known."
    least = "" if energy.complete else "at least "
    span = interval(energy.low_j, energy.high_j, "J", of=energy.total_j)
    ended = "" if report.status == "succeeded" else f", which {report.status.value} before its end,"
    joules = f"{least}{quantity(energy.total_j, 'J')}"
    used = f"Training{ended} used {joules} ({span}; {energy_method(report)})"
    if priced.co2e_g is None:
        return f"{used}; no carbon intensity was given for its place."
    grams = interval(priced.low_g, priced.high_g, "g", of=priced.co2e_g)
    return (
        f"{used}, {quantity(priced.co2e_g, 'g')} of CO2e ({grams}) at"
        f" {priced.intensity_g_per_kwh:g} g/kWh, trust grade {report.trust.grade}."
    )
