"""Energy against work and quality, over the epochs that trained to their end."""

from collections.abc import Mapping
from typing import get_args

from app.accounting.phases import Span, finished, number, share, validation_accuracies, whole
from app.domain.readings import Phase
from app.domain.reports import Efficiency, Quality, StoppedBy, Work
from app.domain.specs import WorkloadFacts

PRECISION_OF_PRODUCTS = {"float32": "float32", "mixed_bfloat16": "bfloat16"}


def work(
    spans: tuple[Span, ...], facts: WorkloadFacts, peaks: Mapping[str, float] | None = None
) -> Work:
    """Samples, FLOPs and seconds of the finished epochs; validation and test are not counted.

    Args:
        spans: the phases.
        facts: what is known of the training by arithmetic.
        peaks: FLOP/s of a large matrix product on the host, by precision.
    """
    epochs = finished(spans)
    samples = sum(whole(epoch.facts, "samples") or 0 for epoch in epochs)
    training_s = sum(epoch.duration_s for epoch in epochs)
    peak = _peak(spans, peaks or {})
    flops = None if facts.flops_per_sample is None else samples * facts.flops_per_sample
    return Work(
        parameters=facts.parameters,
        layers=facts.layers,
        flops_per_sample=facts.flops_per_sample,
        flops_reason=facts.flops_reason,
        parameters_reason=facts.parameters_reason,
        samples=samples,
        flops=flops,
        training_s=training_s,
        achieved_flops_per_s=_ratio(flops, training_s),
        matmul_flops_per_s=peak,
        matmul_share=_ratio(_ratio(flops, training_s), peak),
    )


def _peak(spans: tuple[Span, ...], peaks: Mapping[str, float]) -> float | None:
    """The host's peak in the precision that the run had."""
    setup = next((span.facts for span in spans if span.name is Phase.SETUP), None) or {}
    return peaks.get(PRECISION_OF_PRODUCTS.get(str(setup.get("precision")), ""))


def quality(spans: tuple[Span, ...], target: float | None = None) -> Quality:
    """Accuracy and loss on the test set; the first of the epochs that validated best.

    Args:
        spans: the phases.
        target: the validation accuracy that was asked for; null where none was.
    """
    test = next((span.facts for span in spans if span.name is Phase.EVALUATION), None)
    best = _best_epoch(spans)
    return Quality(
        test_accuracy=share(test, "test_accuracy"),
        test_loss=number(test, "test_loss"),
        best_epoch=best,
        best_validation_accuracy=None if best is None else validation_accuracies(spans)[best],
        target_reached=None if target is None else _target_epoch(spans, target) is not None,
        stopped_by=_stopped_by(spans),
    )


def _stopped_by(spans: tuple[Span, ...]) -> StoppedBy | None:
    """By what the training ended, as the last validation said; null where it was cut off."""
    told = [(span.facts or {}).get("stopped_by") for span in spans]
    return next((by for by in get_args(StoppedBy) if by in told), None)


def _best_epoch(spans: tuple[Span, ...]) -> int | None:
    accuracies = validation_accuracies(spans)
    return max(accuracies, key=lambda epoch: (accuracies[epoch], -epoch), default=None)


def _target_epoch(spans: tuple[Span, ...], target: float | None) -> int | None:
    """The first epoch that validated at the target; null where none did or there is no target."""
    if target is None:
        return None
    accuracies = validation_accuracies(spans)
    return min((epoch for epoch, reached in accuracies.items() if reached >= target), default=None)


def efficiency(spans: tuple[Span, ...], work_: Work, target: float | None = None) -> Efficiency:
    """Joules of the finished epochs: per sample, epoch, FLOP, up to the target, after the best."""
    epochs = finished(spans)
    best, training_j = _best_epoch(spans), _joules(epochs)
    reached = _target_epoch(spans, target)
    until = tuple(
        e for e in epochs if reached is not None and e.index is not None and e.index <= reached
    )
    later = tuple(e for e in epochs if best is not None and e.index is not None and e.index > best)
    return Efficiency(
        training_j=training_j,
        j_per_sample=_ratio(training_j, work_.samples),
        j_per_epoch=_ratio(training_j, len(epochs)),
        flops_per_j=_ratio(work_.flops, training_j),
        j_to_target=_joules(until),
        j_after_best_epoch=None if best is None or training_j is None else _joules(later) or 0.0,
    )


def _joules(epochs: tuple[Span, ...]) -> float | None:
    """The energy of epochs together; null where there is none or it is not known."""
    known = [epoch.energy_j for epoch in epochs if epoch.energy_j is not None]
    return sum(known) if known else None


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else above / below
