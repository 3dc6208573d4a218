"""Work, quality and energy per work, over finished epochs."""

import pytest

from app.domain.specs import JobSpec

SPEC = JobSpec(model_type="cnn")


def test_figures_agree(attempt, evaluate):
    found = evaluate(attempt())
    work, efficiency = found.work, found.efficiency
    assert (work.parameters, work.layers, work.samples) == (225_034, 7, 8000)
    assert work.flops == 8000 * 15_396_864
    assert work.training_s == 9.0
    assert work.achieved_flops_per_s == pytest.approx(work.flops / 9.0)
    assert efficiency.training_j == pytest.approx(9 * 28)
    assert efficiency.j_per_sample == pytest.approx(9 * 28 / 8000)
    assert efficiency.j_per_epoch == pytest.approx(9 * 28 / 2)
    assert efficiency.flops_per_j == pytest.approx(work.flops / (9 * 28))
    assert efficiency.j_to_target is None


def test_the_first_of_equal_epochs_is_best(attempt, evaluate):
    found = evaluate(attempt())
    assert found.quality.best_epoch == 0  # both validated at 0.9
    assert (found.quality.test_accuracy, found.quality.test_loss) == (0.95, 0.2)
    assert found.efficiency.j_after_best_epoch == pytest.approx(5 * 28)


def test_nothing_after_the_best_epoch(attempt, evaluate):
    found = evaluate(attempt(seconds=6.5))
    assert found.quality.best_epoch == 0
    assert found.efficiency.j_after_best_epoch == 0.0


def test_a_cut_epoch_is_not_counted(attempt, evaluate):
    found = evaluate(attempt(seconds=8.0))
    assert (found.work.samples, found.work.training_s) == (4000, 4.0)
    assert found.efficiency.j_per_sample == pytest.approx(4 * 28 / 4000)
    assert found.quality.test_accuracy is None


def test_nothing_trained(attempt, evaluate):
    found = evaluate(attempt(seconds=0.5))
    assert (found.work.samples, found.work.flops, found.work.training_s) == (0, 0, 0.0)
    assert found.work.achieved_flops_per_s is None
    assert set(found.efficiency.model_dump().values()) == {None}


def test_unknown_flops(attempt, evaluate, work):
    found = evaluate(attempt(), work=work.model_copy(update={"flops_per_sample": None}))
    assert (found.work.flops, found.efficiency.flops_per_j) == (None, None)
    assert found.work.samples == 8000


@pytest.mark.parametrize(
    ("target", "seconds", "reached", "joules"),
    [
        (None, None, None, None),
        (0.9, None, True, 4 * 28),  # at the first of two epochs
        (0.91, None, False, None),
        (0.5, 6.5, True, 4 * 28),
        (0.5, 0.5, False, None),  # it ended before an epoch did
    ],
)
def test_joules_up_to_the_epoch_that_reached_the_target(
    attempt, evaluate, target, seconds, reached, joules
):
    readings = attempt() if seconds is None else attempt(seconds=seconds)
    found = evaluate(readings, spec=SPEC.model_copy(update={"target_accuracy": target}))
    assert found.quality.target_reached is reached
    assert found.efficiency.j_to_target == (None if joules is None else pytest.approx(joules))


PEAKS = {"float32": 1e11, "bfloat16": 4e11}


@pytest.mark.parametrize(
    ("precision", "peak"), [("float32", 1e11), ("mixed_bfloat16", 4e11), (None, None)]
)
def test_the_peak_is_that_of_the_precision(attempt, evaluate, marks, host, precision, peak):
    readings = attempt(marks=marks(1.0, precision=precision), host=host(matmul_flops_per_s=PEAKS))
    work = evaluate(readings).work
    assert work.matmul_flops_per_s == peak
    expected = None if peak is None else pytest.approx(work.achieved_flops_per_s / peak)
    assert work.matmul_share == expected


def test_without_a_measured_peak_there_is_no_share(attempt, evaluate, marks):
    work = evaluate(attempt(marks=marks(1.0, precision="float32"))).work
    assert (work.matmul_flops_per_s, work.matmul_share) == (None, None)


@pytest.mark.parametrize("by", ["epochs", "target_accuracy", "early_stopping"])
def test_by_what_it_ended(attempt, evaluate, marks, by):
    assert evaluate(attempt(marks=marks(12.5, stopped_by=by))).quality.stopped_by == by


def test_what_it_ended_by_is_null_where_it_was_cut_or_says_nonsense(attempt, evaluate, marks):
    assert evaluate(attempt(seconds=8.0)).quality.stopped_by is None
    assert evaluate(attempt(marks=marks(12.5, stopped_by="boredom"))).quality.stopped_by is None
