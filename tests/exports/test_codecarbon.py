"""codecarbon's own file: read back by pandas, and recognised by codecarbon."""

import csv
import dataclasses
import io

import pandas
import pytest
from codecarbon.output_methods.emissions_data import EmissionsData
from codecarbon.output_methods.file import FileOutput

from app.exports.codecarbon import emissions_csv


def test_columns_are_codecarbons_in_their_order(make_report):
    header = next(csv.reader(io.StringIO(emissions_csv(make_report()))))
    assert header == [field.name for field in dataclasses.fields(EmissionsData)]


def test_codecarbon_takes_the_file_for_its_own(make_report, tmp_path):
    (tmp_path / "emissions.csv").write_text(emissions_csv(make_report()))
    fields = {field.name: 0 for field in dataclasses.fields(EmissionsData)}
    output = FileOutput("emissions.csv", str(tmp_path))
    assert output.has_valid_headers(EmissionsData(**fields))
    output.out(EmissionsData(**fields), EmissionsData(**fields))  # and writes behind our line
    assert len(pandas.read_csv(tmp_path / "emissions.csv")) == 2


def test_figures_agree_with_each_other_in_codecarbons_units(make_report):
    report = make_report()
    (row,) = pandas.read_csv(io.StringIO(emissions_csv(report))).to_dict("records")
    assert row["energy_consumed"] == pytest.approx(report.energy.total_j / 3.6e6)
    assert row["energy_consumed"] == pytest.approx(row["cpu_energy"] + row["ram_energy"])
    assert row["emissions"] == pytest.approx(row["energy_consumed"] * 1.5 * 0.05604)
    assert row["emissions_rate"] == pytest.approx(row["emissions"] / row["duration"])
    assert row["cpu_power"] * row["duration"] == pytest.approx(row["cpu_energy"] * 3.6e6)
    assert (row["timestamp"], row["country_iso_code"]) == ("2026-11-24T20:00:10", "FRA")
    assert pandas.isna(row["gpu_energy"])  # absent, and not 0


def test_what_is_not_known_is_empty(never_ran):
    (row,) = csv.DictReader(io.StringIO(emissions_csv(never_ran)))
    assert (row["energy_consumed"], row["emissions"], row["cpu_power"], row["os"]) == ("",) * 4
