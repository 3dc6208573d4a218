"""Quotes in words."""

import pytest

from app.domain.quotes import Quote, Track, TrackRecord
from app.domain.specs import Limits
from app.words.quotes import excess, held, sentence

QUOTE = Quote(
    basis="like_jobs",
    reason=None,
    host="box",
    model_type="cnn",
    like_jobs=14,
    energy_j=560.0,
    energy_low_j=480.0,
    energy_high_j=650.0,
    duration_s=20.0,
    duration_low_s=18.0,
    duration_high_s=23.0,
)
NONE = Quote(basis="none", reason="few_like_jobs", host="box", model_type="cnn", like_jobs=4)


def test_a_quote_says_what_from_what_and_how_sure():
    assert sentence(QUOTE) == (
        "About 560 J (480–650 J) and 20.0 s (18.0 s to 23.0 s) on box, from 14 jobs like it."
    )
    priced = QUOTE.model_copy(update={"co2e_g": 0.5, "co2e_low_g": 0.4, "co2e_high_g": 0.6})
    assert "560 J (480–650 J), 500 mg (400–600 mg) CO2e and 20.0 s" in sentence(priced)
    same = QUOTE.model_copy(update={"basis": "same_work", "like_jobs": 3})
    assert sentence(same).endswith("from 3 runs of the same training.")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "4 jobs like it have run on box, and it takes 10 of about this size, or 3"),
        ({"like_jobs": 1}, "1 job like it has run"),
        ({"like_jobs": 0}, "no job like it has run"),
        ({"reason": "no_host", "host": None}, "no worker that takes such a job"),
        ({"pilot_job": "p"}, "the pilot p waits or runs"),
        ({"reason": "no_pilot"}, "3 of the same training. A pilot would tell nothing"),
        ({"pilot_job": "p", "reason": "pilot_failed"}, "the pilot p did not succeed"),
        ({"pilot_job": "p", "reason": "no_energy"}, "the pilot p has no energy"),
    ],
)
def test_without_figures_it_says_why(change, said):
    assert said in sentence(NONE.model_copy(update=change))


def test_an_excess_is_named_with_both_figures():
    assert excess(Limits(energy_j=480), QUOTE) is None
    assert excess(Limits(), QUOTE) is None
    assert excess(Limits(energy_j=1), NONE) is None
    limit, told = excess(Limits(energy_j=400), QUOTE)
    assert (limit.field, limit.expected, limit.received) == (
        "limits.energy_j",
        "a number ≥ 480",
        400,
    )
    assert told.startswith(
        "limits.energy_j is 400 J, and this job is expected to use at least 480 J"
    )
    assert told.endswith(sentence(QUOTE))
    grams = QUOTE.model_copy(update={"co2e_g": 0.5, "co2e_low_g": 0.4, "co2e_high_g": 0.6})
    assert excess(Limits(emissions_g=0.3), grams)[1].startswith("limits.emissions_g is 300 mg")


def test_a_track_record_is_one_sentence():
    assert "No quote has been put to the test" in held(TrackRecord(overall=None, items=()))
    one = Track(
        host=None,
        model_type=None,
        jobs=20,
        energy_error_median=0.05,
        energy_bias_median=0,
        energy_coverage=0.9,
        duration_error_median=0.05,
        duration_bias_median=0,
        duration_coverage=0.9,
    )
    assert held(TrackRecord(overall=one, items=())) == (
        "Over 20 jobs the energy was off by 5.0 % (median), and 90.0 % ended within their 90 % "
        "interval."
    )
