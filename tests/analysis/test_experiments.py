"""What came of an experiment, from rows with known figures, and how often it says so by mistake."""

import math
import random

import pytest

from app.analysis.experiments import Run, enough, pairs, result, spread
from app.domain.experiments import ExperimentSpec, Variant
from app.domain.jobs import JobStatus
from app.domain.report_rows import ReportRow

VARIANTS = tuple(Variant(number=n, label=f"v{n}", spec_sha256=str(n)) for n in range(4))


def _row(energy_j, accuracy=0.9, duration_s=10.0, spent_j=None, co2e_g=1.0):
    return ReportRow.model_construct(
        energy_total_j=energy_j,
        energy_spent_j=energy_j if spent_j is None else spent_j,
        test_accuracy=accuracy,
        duration_s=duration_s,
        co2e_g=co2e_g,
    )


def _run(variant, block, energy_j=None, status=JobStatus.SUCCEEDED, **figures):
    row = None if energy_j is None else _row(energy_j, **figures)
    return Run(variant=variant, block=block, status=status, row=row)


def _spec(**fields):
    given = {"base": {"model_type": "cnn"}, "variants": [{}, {"seed": 1}], **fields}
    return ExperimentSpec.model_validate(given)


def test_a_spread_is_mean_deviation_and_students_interval():
    found = spread([1.0, 2.0, 3.0])
    assert (found.mean, found.standard_deviation, found.runs) == (2.0, 1.0, 3)
    assert found.high - 2 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert spread([]) is None
    assert (spread([5.0]).mean, spread([5.0]).low) == (5.0, None)


def test_runs_of_one_block_are_compared_with_each_other():
    runs = [_run(v, b, joules * (1 + b)) for b in range(4) for v, joules in ((0, 100), (1, 80))]
    (pair,) = pairs({v: [r for r in runs if r.variant == v] for v in (0, 1)})
    assert (pair.blocks, pair.less) == (4, "b")
    assert pair.ratio == pytest.approx(0.8)
    assert pair.low == pytest.approx(0.8) and pair.high == pytest.approx(0.8)


def test_without_common_blocks_all_are_compared_with_all():
    runs = {0: [_run(0, b, 100 + b) for b in (0, 1)], 1: [_run(1, b, 50 + b) for b in (2, 3)]}
    (pair,) = pairs(runs)
    assert (pair.blocks, pair.less) == (0, "b")
    assert pair.ratio == pytest.approx(math.sqrt(52 * 53 / (100 * 101)))


def test_one_run_each_has_a_ratio_and_no_verdict():
    (pair,) = pairs({0: [_run(0, 0, 100)], 1: [_run(1, 0, 50)]})
    assert (pair.ratio, pair.low, pair.less) == (pytest.approx(0.5), None, None)


def test_failed_runs_count_as_failed_and_in_what_was_spent():
    runs = [
        _run(0, 0, 100.0),
        _run(0, 1, 40.0, status=JobStatus.FAILED),
        _run(1, 0, 80.0, spent_j=120.0),
        Run(
            variant=1,
            block=1,
            status=JobStatus.CANCELLED,
            row=_row(None, spent_j=0.0),
            unneeded=True,
        ),
    ]
    found = result(_spec(), VARIANTS[:2], runs)
    assert [(v.succeeded, v.failed, v.spent_j) for v in found.variants] == [
        (1, 1, 140.0),
        (1, 0, 120.0),
    ]


def test_fronts_and_the_joules_of_the_dominated():
    figures = {0: (100, 0.9, 10), 1: (80, 0.9, 12), 2: (60, 0.7, 9), 3: (120, 0.95, 8)}
    runs = [_run(v, 0, e, accuracy=a, duration_s=s) for v, (e, a, s) in figures.items()]
    found = result(_spec(), VARIANTS, runs)
    assert found.front_accuracy == (2, 1, 3)
    assert found.front_duration == (2, 3)
    assert [v.dominated_by for v in found.variants] == [1, None, None, None]
    assert found.dominated_j == 100
    assert found.best == 2


def test_the_best_meets_the_constraint():
    runs = [_run(0, 0, 100, accuracy=0.9), _run(1, 0, 60, accuracy=0.7)]
    constrained = _spec(constraint={"min_accuracy": 0.8})
    found = result(constrained, VARIANTS[:2], runs)
    assert ([v.meets_constraint for v in found.variants], found.best) == ([True, False], 0)
    impossible = _spec(constraint={"min_accuracy": 0.99})
    assert result(impossible, VARIANTS[:2], runs).best is None
    assert result(_spec(), VARIANTS[:2], []).best is None


def _waiting(blocks, begin):
    return [
        Run(variant=v, block=b, status=JobStatus.QUEUED, row=None)
        for b in range(begin, blocks)
        for v in (0, 1)
    ]


def test_it_ends_when_every_job_has_ended():
    runs = [_run(v, 0, 100.0) for v in (0, 1)]
    assert enough(_spec(), VARIANTS[:2], runs) == "complete"
    assert enough(_spec(), VARIANTS[:2], [*runs, *_waiting(2, 1)]) is None


def test_it_stops_between_blocks_once_the_ratios_are_known():
    spec = _spec(repeats={"min": 2, "max": 9}, stop={"ratio_within": 0.05})
    runs = [_run(v, b, joules + b / 10) for b in range(2) for v, joules in ((0, 100), (1, 80))]
    assert enough(spec, VARIANTS[:2], [*runs, *_waiting(9, 2)]) == "ratio_within"
    assert enough(spec, VARIANTS[:2], [*runs[:2], *_waiting(9, 1)]) is None  # too few yet
    begun = [_run(0, 2, status=JobStatus.RUNNING), *_waiting(9, 2)[1:]]
    assert enough(spec, VARIANTS[:2], [*runs, *begun]) is None  # in the middle of a block
    noisy = [_run(v, b, joules * (1 + b)) for b in range(2) for v, joules in ((0, 9), (1, 80))]
    noisy[-1] = _run(1, 1, 300.0)
    assert enough(spec, VARIANTS[:2], [*noisy, *_waiting(9, 2)]) is None


@pytest.mark.parametrize(
    ("budget", "ended"),
    [
        ({"energy_j": 200}, "budget"),
        ({"energy_j": 201}, None),
        ({"seconds": 20}, "budget"),
        ({"seconds": 21}, None),
        ({"emissions_g": 2}, "budget"),
        ({"emissions_g": 2.1}, None),
    ],
)
def test_it_ends_with_the_job_that_reaches_the_budget(budget, ended):
    runs = [_run(v, 0, 100.0) for v in (0, 1)]
    assert enough(_spec(budget=budget), VARIANTS[:2], [*runs, *_waiting(3, 1)]) == ended


NOISE = 0.053  # of real repeats: the median in bench/results/experiments.json


def _simulated(chance, ratios, blocks, noise=NOISE, drift=0.05):
    """Runs in blocks: each block has a drift of its own, each run its noise."""
    return {
        v: [
            _run(v, b, 100 * ratio * math.exp(shift + chance.gauss(0, noise)))
            for b, shift in enumerate(shifts)
        ]
        for shifts in [[chance.gauss(0, drift) for _ in range(blocks)]]
        for v, ratio in enumerate(ratios)
    }


@pytest.mark.parametrize(("variants", "blocks"), [(2, 3), (2, 10), (4, 5)])
def test_a_against_a_is_said_to_differ_in_at_most_one_of_twenty_experiments(variants, blocks):
    chance, experiments = random.Random(7), 2000
    wrong = sum(
        any(pair.less for pair in pairs(_simulated(chance, [1.0] * variants, blocks)))
        for _ in range(experiments)
    )
    assert wrong <= 0.05 * experiments + 2 * math.sqrt(0.05 * 0.95 * experiments)


@pytest.mark.parametrize("ratio", [1.1, 2.0])
def test_a_planted_difference_is_found_and_covered_at_the_stated_rate(ratio):
    chance, experiments = random.Random(11), 500
    found = covered = 0
    for _ in range(experiments):
        (pair,) = pairs(_simulated(chance, [1.0, ratio], 12))
        found += pair.less == "a"
        covered += pair.low <= ratio <= pair.high
    assert found >= 0.95 * experiments
    assert covered >= 0.95 * experiments - 2 * math.sqrt(0.05 * 0.95 * experiments)
