"""The energy statement: a table in which every figure says how it is known."""

from app.accounting.posted import account
from app.exports.statement import statement
from tests.exports.conftest import NOWHERE


def rows(text):
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in (line.strip("| ").split(" | ") for line in lines)}


def test_every_figure_has_its_interval_and_how_it_is_known(make_report):
    text = statement(make_report())
    found = rows(text)
    assert found["total"][0] == "300 J"
    assert found["total"][2] == "assumed in part"
    assert found["CPU"][2] == "estimated"
    assert found["RAM"][2] == "assumed"
    assert found["GPU"][:3] == ["—", "—", "absent"]
    assert "56.0 g/kWh, PUE 1.5" in found["CO2e"][3]
    assert "Training cnn base on mnist5k for 1 epoch on" in text
    assert "Trust grade" in text
    assert "measured" not in text.partition("\n|")[0]  # its energy is estimated


def test_what_is_not_known_is_a_dash_with_its_reason(never_ran, make_report):
    found = rows(statement(never_ran))
    assert found["total"][:3] == ["—", "—", "not known"]
    assert rows(statement(make_report(price=NOWHERE)))["CO2e"][0] == "—"


def test_text_of_a_host_is_no_markup(make_report):
    report = make_report()
    odd = report.environment.model_copy(update={"cpu_model": "a|b\n| <script> *x*"})
    text = statement(report.model_copy(update={"environment": odd}))
    assert "<script>" not in text
    assert "a\\|b" in text


def test_what_a_script_has_told_is_its_word(make_posted):
    told = make_posted(flops_per_sample=10)
    text = statement(account(told, NOWHERE))
    assert "Training external (my net) on mine" in text
    assert "| samples trained | 4,000 | — | assumed | its script's word |" in text
    assert "| FLOPs | 40.0 kFLOP | — | estimated | its script's word |" in text
    assert "| test accuracy | 91.0 % | — | assumed | its script's word |" in text
