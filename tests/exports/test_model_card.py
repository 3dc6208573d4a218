"""The model card's section: read back as the Hub reads it."""

import pytest
from huggingface_hub import ModelCard

from app.exports.model_card import model_card
from tests.exports.conftest import NOWHERE

KEYS = {"emissions", "source", "training_type", "geographical_location", "hardware_used"}


def test_the_hub_reads_grams_and_its_own_keys(make_report):
    report = make_report()
    card = ModelCard(model_card(report))
    found = card.data.to_dict()["co2_eq_emissions"]
    assert set(found) == KEYS
    assert found["emissions"] == pytest.approx(report.emissions.co2e_g)
    assert found["geographical_location"] == "FRA"
    assert "assumed in part" in found["source"]
    assert "300 J (" in card.text
    assert "trust grade" in card.text


def test_without_a_country_there_are_no_emissions(make_report):
    card = ModelCard(model_card(make_report(price=NOWHERE)))
    assert set(card.data.to_dict()["co2_eq_emissions"]) == KEYS - {
        "emissions",
        "geographical_location",
    }
    assert "no carbon intensity was given" in card.text


def test_a_job_that_never_ran_says_so(never_ran):
    assert "is not known" in ModelCard(model_card(never_ran)).text


def test_a_name_full_of_yaml_stays_a_text(make_report):
    report = make_report()
    odd = report.environment.model_copy(update={"cpu_model": 'x: "y" #z\n---\n'})
    card = ModelCard(model_card(report.model_copy(update={"environment": odd})))
    hardware = card.data.to_dict()["co2_eq_emissions"]["hardware_used"]
    assert 'x: "y" #z\n---\n' in hardware
