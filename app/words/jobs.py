"""Jobs in words: where one stands, what it trains, when things happened."""

from datetime import UTC, datetime

from app.domain.external import EXTERNAL, Asked, ExternalTraining
from app.domain.jobs import Job, JobStatus, Stage
from app.words.units import duration

WITHOUT_BATCHES = {"svm", "random_forest"}

DOING = {
    None: "starting",
    Stage.WAITING_FOR_QUIET: "waiting until the host is quiet",
    Stage.STARTING: "starting the training process",
    Stage.SETUP: "loading data, building the model",
    Stage.TRAINING: "training",
    Stage.EVALUATING: "evaluating on the test set",
}


def says(job: Job, *, stuck: str = "") -> str:
    """Where a job stands, in words that change only with its stage or epoch."""
    if job.status is JobStatus.QUEUED:
        ahead = f", position {job.queue_position}" if job.queue_position else ""
        return f"queued{ahead}{stuck and f': {stuck}'}"
    if job.status is JobStatus.RUNNING:
        return _doing(job)
    why = f": {job.error.message}" if job.error else ""
    return f"{job.status.value.replace('_', ' ')}{_took(job)}{why}"


def _doing(job: Job) -> str:
    attempt = f" (attempt {job.attempt})" if job.attempt > 1 else ""
    if job.stage is Stage.TRAINING and job.progress:
        epoch = min(job.progress.epoch + 1, job.progress.epochs)
        return f"training, epoch {epoch} of {job.progress.epochs}{attempt}"
    return f"{DOING[job.stage]}{attempt}"


def _took(job: Job) -> str:
    if job.started_at is None or job.finished_at is None:
        return ""
    return f" after {duration((job.finished_at - job.started_at).total_seconds())}"


def share(job: Job) -> float | None:
    """How much of the steps is done, from 0 to 1; null where that is not known."""
    if job.status.final:
        return 1.0
    if job.progress is None or job.progress.steps == 0:
        return None
    return min(
        1.0, (job.progress.epoch + job.progress.step / job.progress.steps) / job.progress.epochs
    )


def left(job: Job) -> str:
    """The time that is left, `about 20.0 s left`; nothing where it is not known."""
    eta_s = job.progress.eta_s if job.progress and not job.status.final else None
    return "" if eta_s is None else f"about {duration(max(1.0, round(eta_s)))} left"


def training(asked: Asked) -> str:
    """What is trained: `cnn base on mnist5k, 3 epochs, batches of 32, seed 0`."""
    batched = isinstance(asked, ExternalTraining) or asked.model_type not in WITHOUT_BATCHES
    told = [
        on_data(model(asked), dataset(asked)),
        epochs(asked.epochs),
        f"batches of {asked.batch_size}" if batched and asked.batch_size is not None else None,
        f"seed {asked.seed}" if asked.seed is not None else None,
    ]
    return ", ".join(filter(None, told))


def model(asked: Asked) -> str:
    """The model by its name."""
    if isinstance(asked, ExternalTraining):
        return named(EXTERNAL, None, asked.name)
    return named(asked.model_type, asked.size_name, asked.model_name)


def dataset(asked: Asked) -> str | None:
    """The data set by its name; null where it was not told."""
    return asked.dataset if isinstance(asked, ExternalTraining) else asked.dataset.name


def on_data(name: str, data: str | None) -> str:
    """A model and what it learns from: `cnn base on mnist5k`."""
    return name if data is None else f"{name} on {data}"


def epochs(count: int | None) -> str | None:
    """So many epochs; null where that was not told."""
    return None if count is None else f"{count} epoch{'' if count == 1 else 's'}"


def named(model_type: str, size: str | None, model_name: str | None) -> str:
    """A model by its name: `cnn base`; a user's own as `keras (name)`, or `keras` alone."""
    own = f"({model_name})" if model_name else None
    return " ".join(filter(None, [model_type, size, own]))


def moment(at: datetime | None) -> str | None:
    """A time in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at else None


def ago(at: datetime) -> str:
    """How long ago a time was, in its largest unit: `42 s ago`, `3 h ago`."""
    seconds = max(0, round((datetime.now(UTC) - at).total_seconds()))
    for unit, size_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size_s:
            return f"{seconds // size_s} {unit} ago"
    return f"{seconds} s ago"
