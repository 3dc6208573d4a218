"""Quotes: fits of planted costs, intervals that hold, pilots, and real jobs left out one by one."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.analysis.quotes import (
    ENOUGH,
    PILOT_STEPS,
    REPEATS,
    done,
    from_pilot,
    like,
    pilot_spec,
    predict,
    track,
    work,
)
from app.domain.quotes import Past, QuoteRecord, Work
from app.domain.reports import EnergyReport
from app.domain.specs import Execution, JobSpec
from app.workloads import catalogue
from bench import quotes as bench


def spec(**fields):
    return JobSpec.model_validate({"model_type": "cnn", **fields})


def work_of(**fields):
    asked = spec(**fields)
    return work(asked, catalogue.facts(asked))


def planted(chance, *, noise=0.05):
    """A job of a random size whose cost is what its work costs, and some noise."""
    one = work_of(
        size=chance.choice(["tiny", "small", "base", "medium"]),
        epochs=chance.randint(1, 10),
        batch_size=chance.choice([16, 32, 64, 128]),
        dataset={"name": "mnist5k", "samples": chance.choice([500, 1000, 2000, 4000])},
    )
    cost = 40 + 3 * one.epochs + 0.01 * one.steps + 1e-10 * one.passes * one.flops_per_sample
    off = chance.lognormvariate(0, noise)
    return Past(work=one, energy_j=cost * off, duration_s=cost * off / 20)


def test_work_is_counted_over_all_epochs():
    one = work_of(epochs=3, batch_size=100, dataset={"name": "mnist5k", "samples": 1050})
    assert (one.samples, one.steps, one.epochs) == (3150, 33, 3)
    assert one.passes == pytest.approx(3150 + (3 * 500 + 500) / 3)


def test_what_ended_early_counts_for_what_was_done():
    one = work_of(epochs=10)
    assert done(one, one.samples) == one
    half = done(one, one.samples // 2)
    assert (half.epochs, half.steps, half.passes) == (5, one.steps / 2, one.passes / 2)
    assert done(one, 1).epochs == 1


def test_jobs_are_alike_by_family():
    one = work_of()
    assert like(one, work_of(size="tiny", epochs=9, batch_size=8, dataset={"name": "digits"}))
    assert not like(one, work_of(model_type="mlp"))
    assert like(one, work_of(execution={"precision": "mixed_bfloat16"}))
    forest = work_of(model_type="random_forest")
    assert like(forest, work_of(model_type="random_forest", epochs=1))
    assert not like(forest, work_of(model_type="random_forest", size="tiny"))
    net = one.model_copy(update={"model_type": "keras"})
    assert like(net, net.model_copy(update={"epochs": 1}))
    assert not like(net, net.model_copy(update={"parameters": 5}))


def test_repeats_are_enough_by_themselves():
    one = work_of()
    past = [Past(work=one, energy_j=e, duration_s=e / 20) for e in (100, 110, 121)]
    basis, count, told = predict(one, past)
    assert (basis, count) == ("same_work", 3)
    assert told.energy_j == pytest.approx(110)
    # Student's t with two degrees of freedom at 95 %: 2.92
    assert told.energy_high_j == pytest.approx(
        110 * 1.1 ** (2.91999 * (1 + 1 / 3) ** 0.5), rel=1e-4
    )
    assert told.energy_low_j * told.energy_high_j == pytest.approx(110**2)
    assert told.duration_s == pytest.approx(5.5)
    assert predict(one, past[: REPEATS - 1]) is None


def test_too_few_like_jobs_give_no_quote():
    chance = random.Random(0)
    past = [planted(chance) for _ in range(ENOUGH - 1)]
    wanted = work_of(epochs=11)
    assert predict(wanted, past) is None
    assert predict(wanted, [*past, planted(chance)])[:2] == ("like_jobs", ENOUGH)


def test_jobs_that_ran_in_another_way_count_where_too_few_ran_in_the_same_one():
    chance = random.Random(3)
    past = [planted(chance) for _ in range(2 * ENOUGH)]
    fast = Execution(precision="mixed_bfloat16")

    def quickly(one):
        work = one.work.model_copy(update={"execution": fast})
        return Past(work=work, energy_j=one.energy_j / 3, duration_s=one.duration_s / 3)

    wanted = work_of(epochs=11)
    for others in (1, ENOUGH):
        mixed = past[ENOUGH:] + [quickly(one) for one in past[:others]]
        _, count, told = predict(wanted.model_copy(update={"execution": fast}), mixed)
        assert count == (ENOUGH if others == ENOUGH else ENOUGH + 1)
        _, _, slow = predict(wanted, past)
        assert (told.energy_j < slow.energy_j / 2) == (others == ENOUGH)


def test_planted_costs_are_found_beyond_the_jobs_that_were_seen():
    chance = random.Random(1)
    past = [planted(chance, noise=0.001) for _ in range(30)]
    wanted = work_of(size="medium", epochs=40)
    cost = 40 + 120 + 0.01 * wanted.steps + 1e-10 * wanted.passes * wanted.flops_per_sample
    _, _, told = predict(wanted, past)
    assert told.energy_j == pytest.approx(cost, rel=0.03)
    assert told.energy_low_j <= told.energy_j <= told.energy_high_j


@pytest.mark.parametrize("count", [10, 25])
def test_nine_of_ten_end_within_their_interval(count):
    chance = random.Random(count)
    held = 0
    for _ in range(200):
        *past, last = [planted(chance, noise=0.1) for _ in range(count + 1)]
        _, _, told = predict(last.work, past)
        held += told.energy_low_j <= last.energy_j <= told.energy_high_j
    assert 0.85 <= held / 200 <= 0.98  # the guarantee of jackknife+ is 0.8; 0.021 of it is chance


WORKS = st.builds(
    Work,
    model_type=st.just("cnn"),
    size=st.just("base"),
    dataset=st.just("mnist5k"),
    execution=st.just(Execution()),
    layers=st.integers(0, 100),
    parameters=st.just(1),
    flops_per_sample=st.none() | st.integers(1, 10**12),
    epochs=st.integers(1, 10_000),
    steps=st.integers(1, 10**7),
    samples=st.integers(1, 10**9),
    passes=st.floats(1, 1e9),
)
PASTS = st.builds(Past, work=WORKS, energy_j=st.floats(1e-3, 1e9), duration_s=st.floats(1e-3, 1e6))


@settings(deadline=None)
@given(WORKS, st.lists(PASTS, min_size=ENOUGH, max_size=20))
def test_whatever_came_before_the_figures_are_positive_and_in_order(wanted, past):
    told = predict(wanted, past)
    if told is not None:
        figures = told[2]
        assert 0 < figures.energy_low_j <= figures.energy_j <= figures.energy_high_j
        assert 0 < figures.duration_low_s <= figures.duration_s <= figures.duration_high_s


def test_a_pilot_is_the_same_training_over_a_few_steps():
    asked = spec(
        epochs=50,
        batch_size=64,
        target_accuracy=0.9,
        early_stopping={"patience": 3},
        limits={"energy_j": 5, "timeout_s": 60},
        tags={"a": "b"},
    )
    pilot = pilot_spec(asked, catalogue.facts(asked))
    assert (pilot.epochs, pilot.dataset.samples) == (2, 64 * PILOT_STEPS)
    assert (pilot.target_accuracy, pilot.early_stopping, pilot.limits.energy_j) == (None,) * 3
    assert (pilot.batch_size, pilot.limits.timeout_s) == (64, 60)
    few = spec(batch_size=8, dataset={"name": "mnist5k", "samples": 30})
    assert pilot_spec(few, catalogue.facts(few)).dataset.samples == 30


def phase(name, index, energy_j, samples=None):
    return {
        "name": name,
        "index": index,
        "start_s": 0,
        "duration_s": energy_j / 20,
        "energy_j": energy_j,
        "samples": samples,
        "loss": None,
        "train_accuracy": None,
        "validation_accuracy": None,
    }


@pytest.fixture
def pilot_report(make_run):
    """The report of a pilot with these phases."""

    def made(*phases):
        body = json.loads(make_run(10.0, 20.0).model_dump_json()) | {"phases": phases}
        return EnergyReport.model_validate_json(json.dumps(body))

    return made


PILOT = (
    phase("setup", None, 30),
    phase("epoch", 0, 25, 640),
    phase("validation", 0, 4),
    phase("epoch", 1, 10, 640),
    phase("validation", 1, 2),
    phase("evaluation", None, 3),
)


def test_a_pilot_is_stretched_to_all_samples_and_epochs(pilot_report):
    wanted = work_of(epochs=4, dataset={"name": "mnist5k", "samples": 1280})
    told = from_pilot(wanted, pilot_report(*PILOT))
    expected = 30 + 3 + (25 - 10) + 10 * 4 * 2 + 4 * 2
    assert told.energy_j == pytest.approx(expected)
    assert told.duration_s == pytest.approx(expected / 20)
    assert told.energy_low_j < expected < told.energy_high_j


def test_a_pilot_that_tells_too_little_is_no_quote(pilot_report):
    wanted = work_of()
    assert from_pilot(wanted, pilot_report(*PILOT[:3])) is None
    unread = PILOT[0] | {"energy_j": None}
    assert from_pilot(wanted, pilot_report(unread, *PILOT[1:])) is None


def test_a_track_record_is_of_medians_and_shares():
    def one(energy_j):
        return QuoteRecord(
            "box", "cnn", 100.0, 90.0, 110.0, energy_j, 10.0, 9.0, 11.0, energy_j / 10
        )

    found = track([one(100.0), one(80.0), one(105.0)], host="box")
    assert (found.jobs, found.host, found.model_type) == (3, "box", None)
    assert found.energy_error == pytest.approx(1 - 100 / 105)
    assert found.energy_bias == pytest.approx(0)
    assert found.energy_coverage == found.duration_coverage == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="none"):
        track([])


def test_real_jobs_are_predicted_from_the_others():
    jobs = [one for one, _ in bench.kept()]
    assert len(jobs) >= 200
    found = track(bench.records(jobs))
    assert found.jobs >= 200
    assert found.energy_error <= 0.15
    assert 0.85 <= found.energy_coverage <= 0.97
    assert 0.85 <= found.duration_coverage <= 0.97
