"""What a spec trains, in short, as its report says it."""

from app.domain.reports import Trained
from app.domain.specs import JobSpec


def trained(spec: JobSpec) -> Trained:
    """The facts by which a person knows a training again."""
    return Trained(
        model_type=spec.model_type,
        model_name=spec.model_name,
        size=spec.size_name,
        dataset=spec.dataset.name,
        dataset_samples=spec.dataset.samples,
        epochs=spec.epochs,
        batch_size=spec.batch_size,
        learning_rate=spec.learning_rate,
        seed=spec.seed,
    )
