"""Errors carry what a person needs."""

from app.domain.errors import FieldError, SpecError, StateError, TrainingError, TrainwattError


def test_a_spec_error_names_every_field():
    error = SpecError(
        FieldError(field="epochs", expected="an integer ≥ 1", received=0),
        FieldError(field="size", expected="a size", received="huge"),
    )
    assert str(error) == (
        "epochs: expected an integer ≥ 1, received 0; size: expected a size, received 'huge'"
    )
    assert [e.field for e in error.errors] == ["epochs", "size"]


def test_state_and_code_stand_beside_the_sentence():
    assert StateError("it is over", status="failed").status == "failed"
    assert TrainingError("the loss is not finite", code="diverged").code == "diverged"
    assert issubclass(TrainingError, TrainwattError)
