"""What was trained, in short, as its report says it."""

from app.domain.external import EXTERNAL, Asked, ExternalTraining
from app.domain.reports import Trained


def trained(spec: Asked) -> Trained:
    """The facts by which a person knows a training again."""
    if isinstance(spec, ExternalTraining):
        return Trained(
            model_type=EXTERNAL,
            model_name=spec.name,
            size=None,
            dataset=spec.dataset,
            dataset_samples=None,
            epochs=spec.epochs,
            batch_size=spec.batch_size,
            learning_rate=spec.learning_rate,
            seed=spec.seed,
        )
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
