"""The course of a training: its boundaries as marks, and when it is over before the last epoch."""

import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.domain.readings import Phase
from app.domain.reports import StoppedBy
from app.domain.specs import JobSpec

Mark = Callable[[Phase, int | None, dict[str, Any]], None]
OnProgress = Callable[[int, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Score:
    """The mean loss and the share of right answers over samples; null where there is none."""

    loss: float | None
    accuracy: float | None


class Course:
    """Says each boundary to whoever measures, with the facts of the phase that ends there."""

    def __init__(self, spec: JobSpec, mark: Mark, progress: OnProgress, samples: int) -> None:
        """Begin nothing yet; the phase `setup` is the caller's.

        Args:
            spec: what is trained.
            mark: begins a phase, with facts of the phase that ends.
            progress: hears of the running epoch, its finished steps and all of its steps.
            samples: of an epoch.
        """
        self._spec, self._mark, self._samples = spec, mark, samples
        self.progress = progress
        self._epoch = 0
        self._best: tuple[float, int] | None = None  # validation accuracy, and in which epoch
        self._ended: dict[str, Any] = {}

    def begin_epoch(self, epoch: int, setup: dict[str, Any] | None = None) -> None:
        """Training steps begin; before the first of them `setup` ends, with its facts."""
        self._epoch = epoch
        self._mark(Phase.EPOCH, epoch, self._ended if setup is None else setup)

    def begin_validation(self, trained: Score) -> None:
        """The epoch's steps are done, with the loss and accuracy that they saw."""
        ended = {
            "samples": self._samples,
            "loss": trained.loss,
            "train_accuracy": trained.accuracy,
        }
        self._mark(Phase.VALIDATION, self._epoch, _known(ended))

    def end_validation(self, score: Score) -> bool:
        """The epoch is validated; whether it was the last one that is wanted."""
        self._ended = _scored("validation", score)
        if stopped_by := self._stopped_by(score.accuracy):
            self._ended["stopped_by"] = stopped_by
        return stopped_by is not None

    def begin_evaluation(self) -> None:
        """The training is over; the test set is next."""
        self._mark(Phase.EVALUATION, None, self._ended)

    def end(self, score: Score) -> None:
        """The test set is scored."""
        ended = {**_scored("test", score), "peak_memory_bytes": peak_memory_bytes()}
        self._mark(Phase.END, None, ended)

    def _stopped_by(self, accuracy: float | None) -> StoppedBy | None:
        """By what the training ends at this epoch, if it does."""
        if accuracy is None:
            return None
        if self._best is None or accuracy > self._best[0]:
            self._best = accuracy, self._epoch
        target, early = self._spec.target_accuracy, self._spec.early_stopping
        if target is not None and accuracy >= target:
            return "target_accuracy"
        if early is not None and self._epoch - self._best[1] >= early.patience:
            return "early_stopping"
        return "epochs" if self._epoch + 1 == self._spec.epochs else None


def peak_memory_bytes() -> int:
    """The most resident memory that this process has had (getrusage counts KiB but on macOS)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _scored(part: str, score: Score) -> dict[str, Any]:
    return _known({f"{part}_accuracy": score.accuracy, f"{part}_loss": score.loss})


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}
