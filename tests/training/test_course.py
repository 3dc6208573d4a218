"""The course of a training: marks with their facts, and by what it ends."""

import pytest

from app.domain.readings import Phase
from app.domain.specs import JobSpec
from app.training.course import Course, Score


def course(**given):
    marks = []
    spec = JobSpec.model_validate({"model_type": "cnn", "epochs": 5, **given})
    made = Course(spec, lambda *mark: marks.append(mark), lambda *_: None, 100)
    return made, marks


def ran(accuracies, **given):
    """How many epochs of these validation accuracies are trained, and by what it ends."""
    made, marks = course(**given)
    for epoch, accuracy in enumerate(accuracies):
        made.begin_epoch(epoch)
        made.begin_validation(Score(loss=1.0, accuracy=0.5))
        if made.end_validation(Score(loss=1.0, accuracy=accuracy)):
            break
    made.begin_evaluation()
    return epoch + 1, marks[-1][2].get("stopped_by")


@pytest.mark.parametrize(
    ("accuracies", "given", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.4, 0.5], {}, (5, "epochs")),
        ([0.1, 0.6, 0.7, 0.4, 0.5], {"target_accuracy": 0.6}, (2, "target_accuracy")),
        ([0.1, 0.2, 0.3, 0.4, 0.6], {"target_accuracy": 0.6}, (5, "target_accuracy")),
        # the best is epoch 1; an equal accuracy is no rise
        ([0.1, 0.5, 0.5, 0.4, 0.9], {"early_stopping": {"patience": 2}}, (4, "early_stopping")),
        ([0.1, 0.5, 0.4, 0.6, 0.5], {"early_stopping": {"patience": 2}}, (5, "epochs")),
        ([0.5, 0.5, 0.9, 0.9, 0.9], {"early_stopping": {"patience": 1}}, (2, "early_stopping")),
    ],
)
def test_by_what_it_ends(accuracies, given, expected):
    assert ran(accuracies, **given) == expected


def test_a_figure_that_is_not_known_is_no_fact():
    made, marks = course()
    made.begin_epoch(0, {"threads": 2})
    made.begin_validation(Score(loss=None, accuracy=None))
    made.end_validation(Score(loss=0.5, accuracy=None))
    made.begin_evaluation()
    made.end(Score(loss=None, accuracy=0.25))
    facts = [(phase, index, ended) for phase, index, ended in marks]
    assert facts[:3] == [
        (Phase.EPOCH, 0, {"threads": 2}),
        (Phase.VALIDATION, 0, {"samples": 100}),
        (Phase.EVALUATION, None, {"validation_loss": 0.5}),
    ]
    assert set(facts[3][2]) == {"test_accuracy", "peak_memory_bytes"}
