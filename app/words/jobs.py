"""Jobs in words: where one stands, what it trains, when things happened."""

from datetime import UTC, datetime

from app.domain.jobs import Job, JobStatus, Stage
from app.domain.specs import JobSpec
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


def training(spec: JobSpec) -> str:
    """What is trained: `cnn base on mnist5k, 3 epochs, batches of 32, seed 0`."""
    epochs = f"{spec.epochs} epoch{'' if spec.epochs == 1 else 's'}"
    batches = "" if spec.model_type in WITHOUT_BATCHES else f", batches of {spec.batch_size}"
    return f"{model(spec)} on {spec.dataset.name}, {epochs}{batches}, seed {spec.seed}"


def model(spec: JobSpec) -> str:
    """The model of a spec by its name."""
    return named(spec.model_type, spec.size_name, spec.model_name)


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
