"""What a training process says over its pipe, and the events that the meter thread makes of it."""

from dataclasses import dataclass, field
from typing import Any

from app.domain.readings import Phase, Reading


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A phase begins; the process waits until the meter has been read."""

    begins: Phase
    index: int | None
    ended: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Step:
    """The training has come so far; nobody waits."""

    epoch: int
    step: int
    steps: int


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The training raised: a stable code and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Forked:
    """The training process exists."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The meter was read: at a mark, at a tick, or after the end."""

    reading: Reading


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The process is gone and was read for the last time; `error` is the meter's own, if any."""

    exit_code: int | None
    error: Exception | None = None


@dataclass(frozen=True, kw_only=True)
class Interrupted:
    """Somebody wants the run to end now."""


Message = Mark | Step | Failure
Event = Forked | Seen | Step | Failure | Ended | Interrupted
