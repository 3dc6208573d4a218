"""Training by scikit-learn: a support vector machine sample by sample, a forest tree by tree."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import SGDClassifier
from threadpoolctl import threadpool_limits

from app.domain.errors import TrainingError
from app.domain.specs import JobSpec
from app.training.course import Course, OnProgress, Score
from app.training.data import Data, Floats, Labels, Part
from app.training.execution import Settings
from app.training.graph import ORDER
from app.workloads import datasets, random_forest, svm

PARTS = 8  # of an epoch: after each of them progress is told
LOG_FLOOR = 1e-7  # a class without a vote counts as this probability, as in Keras' cross-entropy

# The features' mean square norm, for every width. A learning rate of 0.001, the default of a spec,
# is then a step of one where the kernel's k(x, x) is one.
SQUARED_NORM = 1000.0
DECAY = 0.01  # scikit-learn's alpha, on these features: C = SQUARED_NORM / (DECAY × samples)
COMPOSED_GAMMA = 0.5  # exp(-γ |φ - φ'|²) is then exp(k - 1), as steep as k itself at k = 1


class Classifier(Protocol):
    """What is trained epoch by epoch, and scored between them."""

    def run_epoch(self, epoch: int, progress: OnProgress) -> None:
        """Train one epoch; tell progress in parts of it."""

    def validate(self) -> Score:
        """The score on the validation part, after an epoch."""

    def test(self) -> Score:
        """The score on the test part, after the last epoch."""


def train(spec: JobSpec, settings: Settings, data: Data, course: Course) -> None:
    """Train epoch by epoch until the course says that it is enough, and score on the test set.

    The loss and accuracy of an epoch's own samples are not told: scikit-learn does not keep them,
    and to compute them again would cost energy that is not the training's.

    Raises:
        TrainingError: the samples are too large to compute with (code `diverged`).
    """
    with threadpool_limits(settings.threads):
        model = CLASSIFIERS[spec.model_type](spec, settings, data)
        for epoch in range(spec.epochs):
            course.begin_epoch(epoch, facts(settings) if epoch == 0 else None)
            model.run_epoch(epoch, course.progress)
            course.begin_validation(Score(loss=None, accuracy=None))
            if course.end_validation(model.validate()):
                break
        course.begin_evaluation()
        course.end(model.test())


def facts(settings: Settings) -> dict[str, Any]:
    """What the report says of how it was run: of the settings, those that hold here."""
    return {"scikit_learn": sklearn.__version__, "threads": settings.threads}


class SupportVectorMachine:
    """One-vs-rest linear machines on random features of a Gaussian kernel.

    The features are computed once, here; an epoch is a pass of stochastic gradient descent on the
    hinge loss over all training samples, a sample a step, at a constant rate.
    """

    def __init__(self, spec: JobSpec, settings: Settings, data: Data) -> None:
        """Compute the features; no machine is trained yet.

        Raises:
            TrainingError: they are not finite (code `diverged`).
        """
        self._seed = spec.seed
        self._classes = datasets.facts(spec.dataset).classes
        self._training, self._validation, self._test = mapped(data, svm.features(spec), spec.seed)
        self._model = SGDClassifier(
            loss="hinge",
            alpha=DECAY,
            learning_rate="constant",
            eta0=spec.learning_rate,
            shuffle=False,  # the order is ours
            n_jobs=settings.threads,
        )

    def run_epoch(self, epoch: int, progress: OnProgress) -> None:
        """Every training sample once, in an order that seed and epoch give."""
        x, y = self._training.x, self._training.y
        order = np.random.default_rng([self._seed, ORDER, epoch]).permutation(len(y))
        done = 0
        for some in np.array_split(order, min(PARTS, len(order))):
            self._model.partial_fit(x[some], y[some], classes=np.arange(self._classes))
            done += len(some)
            progress(epoch, done, len(order))

    def validate(self) -> Score:
        """The score on the validation part, with the weights as they are."""
        return self._score(self._validation)

    def test(self) -> Score:
        """The score on the test part, with the weights as they are."""
        return self._score(self._test)

    def _score(self, part: Part) -> Score:
        return hinge_score(self._model.decision_function(part.x), part.y)


class RandomForest:
    """Trees that are added epoch by epoch; none of them changes later."""

    def __init__(self, spec: JobSpec, settings: Settings, data: Data) -> None:
        """Plant nothing yet."""
        self._training, self._validation, self._test = map(
            flattened, (data.training, data.validation, data.test)
        )
        self._trees, self._threads = random_forest.trees(spec), settings.threads
        self._classes = datasets.facts(spec.dataset).classes
        self._model = RandomForestClassifier(
            n_estimators=0,
            max_depth=random_forest.levels(spec),
            warm_start=True,
            random_state=spec.seed,
            n_jobs=settings.threads,
        )
        self._votes = self._ask([], self._validation)
        self._voted = 0

    def run_epoch(self, epoch: int, progress: OnProgress) -> None:
        """Grow the epoch's trees, some on all threads at a time."""
        done = 0
        for some in shares(self._trees, self._threads):
            self._model.n_estimators += some
            self._model.fit(self._training.x, self._training.y)
            done += some
            progress(epoch, done, self._trees)

    def validate(self) -> Score:
        """The score of all trees on the validation part; only the new ones are asked."""
        self._votes += self._ask(self._model.estimators_[self._voted :], self._validation)
        self._voted = len(self._model.estimators_)
        return log_score(self._votes / self._voted, self._validation.y)

    def test(self) -> Score:
        """The score of all trees on the test part."""
        trees = self._model.estimators_
        return log_score(self._ask(trees, self._test) / len(trees), self._test.y)

    def _ask(self, trees: Iterable[Any], part: Part) -> NDArray[np.float64]:
        """The sum of the trees' votes, always in the same order, so that it is the same to the bit.

        A class that noise has taken from all training labels gets none.

        Returns:
            (samples, classes).
        """
        votes = np.zeros((len(part.y), self._classes))
        for tree in trees:
            votes[:, self._model.classes_] += tree.predict_proba(part.x, check_input=False)
        return votes


CLASSIFIERS: Mapping[str, Callable[[JobSpec, Settings, Data], Classifier]] = {
    svm.FAMILY.name: SupportVectorMachine,
    random_forest.FAMILY.name: RandomForest,
}


def flattened(part: Part) -> Part:
    """Each sample as one row of its values."""
    return Part(part.x.reshape(len(part.x), -1), part.y)


def mapped(data: Data, blocks: tuple[int, ...], seed: int) -> tuple[Part, Part, Part]:
    """Training, validation and test samples as random Fourier features, block on block.

    The kernel of the first block is exp(-γ |x - x'|²) with γ = 1 / (features × variance), as
    scikit-learn's `scale`; each further one is exp(k - 1) of the kernel k below.

    Args:
        data: samples of any shape.
        blocks: the number of features of each block.
        seed: of the random weights.

    Returns:
        Parts whose x is (samples, blocks[-1]), of mean square norm SQUARED_NORM.

    Raises:
        TrainingError: the variance or a feature is not finite, as the samples are too large (code
            `diverged`).
    """
    random = np.random.RandomState(seed)
    parts = [flattened(part).x for part in (data.training, data.validation, data.test)]
    with np.errstate(over="ignore", invalid="ignore"):  # it is told below
        spread = parts[0].var()
    for block, units in enumerate(blocks):
        gamma = COMPOSED_GAMMA if block else "scale"
        sampler = RBFSampler(gamma=gamma, n_components=units, random_state=random)
        with np.errstate(over="ignore", invalid="ignore"):
            sampler.fit(parts[0])
            parts = [sampler.transform(x) for x in parts]
    _finite([spread, *parts])
    labels = (data.training.y, data.validation.y, data.test.y)
    training, validation, test = map(_lengthened, parts, labels)
    return training, validation, test


def _finite(parts: Iterable[Any]) -> None:
    if not all(np.isfinite(x).all() for x in parts):
        raise TrainingError(
            "the kernel or its features are not finite; expected values whose squares are in "
            "float32's range: scale your data",
            code="diverged",
        )


def _lengthened(x: Floats, y: Labels) -> Part:
    x *= np.float32(np.sqrt(SQUARED_NORM))
    return Part(x, y)


def hinge_score(decisions: NDArray[Any], labels: Labels) -> Score:
    """The hinge loss, mean over samples and machines, and the share of right answers.

    Args:
        decisions: (samples, classes), one machine a class against the rest; of two classes
            (samples,), one machine whose positive answer is class 1.
        labels: (samples,).
    """
    two = decisions.ndim == 1
    answers = decisions > 0 if two else decisions.argmax(axis=1)
    own = labels if two else labels[:, np.newaxis] == np.arange(decisions.shape[1])
    margins = np.where(own, decisions, -decisions)
    loss = np.maximum(0, 1 - margins).mean(dtype=np.float64)
    return Score(loss=float(loss), accuracy=float((answers == labels).mean()))


def log_score(probabilities: NDArray[np.float64], labels: Labels) -> Score:
    """The log loss with probabilities of at least LOG_FLOOR, and the share of right answers.

    Args:
        probabilities: (samples, classes).
        labels: (samples,).
    """
    own = probabilities[np.arange(len(labels)), labels]
    loss = -np.log(np.maximum(own, LOG_FLOOR)).mean()
    right = probabilities.argmax(axis=1) == labels
    return Score(loss=float(loss), accuracy=float(right.mean()))


def shares(total: int, threads: int) -> Iterator[int]:
    """Parts that sum to the total, each a multiple of the threads but the last."""
    most = threads * max(1, round(total / PARTS / threads))
    for done in range(0, total, most):
        yield min(most, total - done)
