"""Every error that trainwatt raises on purpose, classed by what the caller should do.

TrainwattError
├── SpecError          the job spec asks for what cannot be done: change the named field
├── NotFoundError      there is no such thing: look the identifier up
├── OverBudgetError    a job is expected to exceed its own limit: raise it, or force the job
├── StateError         the thing exists, but not in a state that allows this
├── IdempotencyError   a key stands for something else already: take another key
├── NameTakenError     a name stands for something else already: take another name
├── QueueFullError     too much waits already: try again later
├── UsageError         a setting, an argument or a path is wrong: change it
├── UnavailableError   something that we depend on does not answer: start it, or wait
│   └── FullError      the database answers that its disk is full: free some space
├── MeterError         the energy meter gave no reading
└── TrainingError      the training process ended without a result
"""

from dataclasses import dataclass
from typing import Any


class TrainwattError(Exception):
    """The root of the hierarchy; its text is one sentence for a person."""


@dataclass(frozen=True, kw_only=True)
class FieldError:
    """One field of a spec that does not hold: what was expected and what came."""

    field: str
    expected: str
    received: Any


class SpecError(TrainwattError):
    """A job spec that cannot be honoured; carries each field with what it should be."""

    def __init__(self, *errors: FieldError) -> None:
        """Keep the field errors; the text names each of them."""
        self.errors = errors
        super().__init__(
            "; ".join(f"{e.field}: expected {e.expected}, received {e.received!r}" for e in errors)
        )

    def within(self, place: str) -> "SpecError":
        """The same errors of a part that stands at this place of a whole."""
        return SpecError(
            *(
                FieldError(field=f"{place}.{e.field}", expected=e.expected, received=e.received)
                for e in self.errors
            )
        )


class NotFoundError(TrainwattError):
    """There is no such thing under this identifier."""


class StateError(TrainwattError):
    """The thing exists, but its state does not allow what was asked.

    Attributes:
        status: the state that it is in.
    """

    def __init__(self, message: str, *, status: str) -> None:
        """Keep the state beside the sentence."""
        self.status = status
        super().__init__(message)


class OverBudgetError(TrainwattError):
    """A job is expected to exceed a limit that it has itself.

    Attributes:
        limit: the field of the spec, and what it would have to be.
        quote: what it is expected to cost, as JSON.
    """

    def __init__(self, message: str, *, limit: FieldError, quote: dict[str, Any]) -> None:
        """Keep the limit and the quote beside the sentence."""
        self.limit, self.quote = limit, quote
        super().__init__(message)


class IdempotencyError(TrainwattError):
    """The idempotency key of a submission stands for another one."""


class NameTakenError(TrainwattError):
    """The name of a data set stands for other data."""


class QueueFullError(TrainwattError):
    """The queue holds as many jobs as the settings allow."""


class UsageError(TrainwattError):
    """A setting, an argument or a path is wrong; the text says what to do."""


class UnavailableError(TrainwattError):
    """A database, a service or a process does not answer; the text says what to do."""


class FullError(UnavailableError):
    """The database answers, but its disk is full."""


class MeterError(TrainwattError):
    """The energy meter could not be started or gave no reading."""


class TrainingError(TrainwattError):
    """The training process ended without a result.

    Attributes:
        code: a stable name of the cause, as in a job's `error.code`.
    """

    def __init__(self, message: str, *, code: str) -> None:
        """Keep the code beside the sentence."""
        self.code = code
        super().__init__(message)
