"""One training in a script of one's own, from its beginning to its report."""

import contextlib
import logging
import math
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from app import reference
from app.accounting.conditions import BUSY_SHARE
from app.accounting.posted import account
from app.api.validation import validated
from app.client import Client, Report
from app.domain.errors import TrainwattError, UnavailableError, UsageError
from app.domain.external import ExternalTraining
from app.domain.jobs import JobError
from app.domain.posted import MOST_SAMPLES, Ended, PostedReport
from app.domain.readings import Phase, Quiet
from app.measure.counters import OwnCounters
from app.measure.readings import SelfReadings
from app.metering.counters import CpuSeconds
from app.metering.host import host_facts
from app.metering.meter import CodecarbonMeter
from app.settings import Settings, load
from app.worker.baseline_file import File
from app.worker.gate import host_taken

logger = logging.getLogger(__name__)

MOST_MESSAGE = 2000  # characters of an error that a report repeats
ASKING_S = 2.0  # in which a service that nobody named answers, or is not there
LOOK_S = 0.5  # of the host before the run, beside what the meter takes to start
FRAMEWORKS = ("torch", "tensorflow", "jax", "sklearn", "xgboost")

abandoned: list[Callable[[], None]] = []  # ends the measurement of a fit, while one lasts
_measures = threading.Lock()  # held while this process measures: the meter counts the whole host


@dataclass
class PhaseFacts:
    """What a phase achieved, filled in before it ends; null where nothing was said."""

    samples: int | None = None  # trained in this epoch
    loss: float | None = None
    accuracy: float | None = None  # from 0 to 1


def measure(
    name: str,
    *,
    dataset: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    parameters: int | None = None,
    flops_per_sample: int | None = None,
    target_accuracy: float | None = None,
    tags: Mapping[str, str] | None = None,
    country_iso_code: str | None = None,
    region: str | None = None,
    intensity_g_per_kwh: float | None = None,
    pue: float = 1.0,
    store: bool | None = None,
    url: str | None = None,
    api_key: str | None = None,
    sample_interval_s: float = 1.0,
) -> "Measurement":
    """A context manager that measures the training inside it; its `report` is there afterwards.

    Args:
        name: of the model.
        dataset: what it learns from.
        epochs: how many are planned.
        batch_size: samples of a step.
        learning_rate: of the optimiser.
        seed: of the run.
        parameters: trainable weights.
        flops_per_sample: forward and backward, 2 per multiply-add.
        target_accuracy: on validation, from 0 to 1; the report says what it took to reach it.
        tags: to find it by.
        country_iso_code: prices the energy, as `FRA`; else `TRAINWATT_COUNTRY_ISO_CODE`.
        region: of that country.
        intensity_g_per_kwh: grams of CO2e a kilowatt-hour, instead of a country's.
        pue: power usage effectiveness, 1 or more.
        store: whether the report is kept in a service; null: where one answers.
        url: of the service; else `TRAINWATT_URL`.
        api_key: that it asks for; else `TRAINWATT_API_KEY`.
        sample_interval_s: seconds between readings.

    Raises:
        SpecError: something that was told does not hold; each field is named.
        UsageError: a setting or the interval does not hold.
    """
    if not 0.05 <= sample_interval_s <= 60:
        raise UsageError(f"sample_interval_s: expected 0.05 to 60, received {sample_interval_s}")
    settings = load(url=url, api_key=api_key)
    told = {
        "name": name,
        "dataset": dataset,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "seed": seed,
        "parameters": parameters,
        "flops_per_sample": flops_per_sample,
        "target_accuracy": target_accuracy,
        "tags": dict(tags or {}),
        "carbon": {
            "country_iso_code": country_iso_code or settings.country_iso_code,
            "region": region or (None if country_iso_code else settings.region),
            "intensity_g_per_kwh": intensity_g_per_kwh,
            "pue": pue,
        },
    }
    training = validated(ExternalTraining, told)
    reference.intensity(training.carbon, default_country=None, default_region=None)
    return Measurement(training, settings, store=store, interval_s=sample_interval_s)


class Measurement:
    """A training that is measured; used as a context manager, once.

    Attributes:
        report: the energy report, once it has ended.
        stored: whether a service keeps it.
    """

    def __init__(
        self,
        training: ExternalTraining,
        settings: Settings,
        *,
        store: bool | None = None,
        interval_s: float = 1.0,
    ) -> None:
        """Measure nothing yet; see `measure`."""
        self._training, self._settings = training, settings
        self._store, self._interval_s = store, interval_s
        self._open = contextlib.ExitStack()
        self._readings: SelfReadings | None = None
        self._over = False
        self._phase: Phase | None = None  # that a `with` block of this training stands for
        self._epoch = 0  # the next one
        self._posted: PostedReport | None = None
        self.report: Report | None = None
        self.stored = False

    def __enter__(self) -> Self:
        """Find the service, wait for the host, start the meter and the training's clock.

        Raises:
            UsageError: this process measures already, or this has been used.
            UnavailableError: the service that was asked for does not answer.
            MeterError: the energy meter cannot be started.
        """
        if self._readings is not None:
            raise UsageError("a measurement can be used once: call measure() again")
        self._store = self._is_to_store()
        if not _measures.acquire(blocking=False):
            self._end_abandoned()
        with contextlib.ExitStack() as opened:
            opened.callback(_measures.release)
            opened.enter_context(host_taken(self._settings.host_lock, _say_wait))
            self._host = host_facts(self._settings.host_name, known=self._settings.known_facts())
            counters = OwnCounters()
            before, before_s = counters.read(), time.monotonic()
            meter = CodecarbonMeter()
            opened.callback(meter.close)
            time.sleep(max(0.0, before_s + LOOK_S - time.monotonic()))
            self._quiet = _quiet(
                before, counters.read(), time.monotonic() - before_s, self._host.host_cpus
            )
            file = File(
                self._settings.data_dir, self._host, meter.facts, self._settings.baseline_max_age_s
            )
            self._idle = file.news()
            self._readings = SelfReadings(meter, counters, self._interval_s)
            self._readings.begin()
            self._open = opened.pop_all()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Take the last reading, account for all, and keep the report; raise nothing for that."""
        readings = self._running
        with _sigint_later():
            with self._open:
                readings.end()
            self._over = True
            try:
                self._conclude(readings, error)
            except Exception as fault:  # whatever it is, the training has ended well
                logger.exception("no report can be computed")
                _warn(f"no report could be computed ({fault}); write() has the readings")
        if self._store and self.report is not None:
            self._keep()

    def _conclude(self, readings: SelfReadings, error: BaseException | None) -> None:
        self._posted = PostedReport(
            training=self._training,
            ended=_ended(error),
            readings=readings.record(self._host, self._idle, self._quiet),
        )
        self._tell_frameworks()
        if self._training.epochs is None and (count := readings.epochs):
            self.describe(epochs=count)
        self._posted = self._posted.model_copy(update={"training": self._training})
        self.report = self._account(self._posted)

    @contextlib.contextmanager
    def epoch(self, samples: int | None = None) -> Iterator[PhaseFacts]:
        """The training steps of an epoch; the next one by number.

        Args:
            samples: how many are trained in it; also as `facts.samples`.
        """
        with self._in(Phase.EPOCH, self._epoch) as facts:
            facts.samples = samples
            yield facts
            self._tell(samples=facts.samples, loss=facts.loss, train_accuracy=facts.accuracy)
            self._epoch += 1

    @contextlib.contextmanager
    def validation(self) -> Iterator[PhaseFacts]:
        """The validation after an epoch."""
        with self._in(Phase.VALIDATION, max(0, self._epoch - 1)) as facts:
            yield facts
            self._tell(validation_loss=facts.loss, validation_accuracy=facts.accuracy)

    @contextlib.contextmanager
    def evaluation(self) -> Iterator[PhaseFacts]:
        """The test set."""
        with self._in(Phase.EVALUATION, None) as facts:
            yield facts
            self._tell(test_loss=facts.loss, test_accuracy=facts.accuracy)

    def describe(self, **facts: Any) -> None:
        """Tell of the training what was not known at its beginning, as its `parameters`.

        Args:
            facts: as in `measure`.

        Raises:
            SpecError: something does not hold; each field is named.
        """
        self._training = validated(ExternalTraining, {**dict(self._training), **facts})

    def begin(self, phase: Phase, index: int | None = None) -> None:
        """Begin a phase without a `with` block, as a callback has to; the one before ends."""
        self._running.mark(phase, index)

    def tell(self, **facts: float | None) -> None:
        """Facts of the phase that lasts, by their names in docs/reference/readings.md."""
        self._tell(**facts)

    def keep(self, url: str | None = None, api_key: str | None = None) -> Report:
        """Store the report in a service, where that has not been done; the same twice is once.

        Args:
            url: of the service; else as the measurement was told.
            api_key: that it asks for.

        Raises:
            UsageError: nothing has been measured yet.
            TrainwattError: as `Client.post_report`.
        """
        if self._posted is None:
            raise UsageError("there is no report yet: it is made at the end of the `with` block")
        key = api_key or self._settings.api_key
        with Client(url or self._settings.url, key) as client:
            kept = client.post_report(self._posted)
        self.stored = True
        return kept

    def write(self, path: Path) -> None:
        """Write what a service is sent, readings and facts, as JSON: `POST /v1/reports` takes it.

        Raises:
            UsageError: nothing has been measured yet.
            OSError: the file cannot be written.
        """
        if self._posted is None:
            raise UsageError("there is no report yet: it is made at the end of the `with` block")
        path.write_text(self._posted.model_dump_json(exclude_defaults=True))

    @property
    def _running(self) -> SelfReadings:
        if self._readings is None or self._over:
            raise UsageError("nothing is measured: use it inside `with measure(...) as run:`")
        return self._readings

    @contextlib.contextmanager
    def _in(self, phase: Phase, index: int | None) -> Iterator[PhaseFacts]:
        if self._phase is not None:
            raise UsageError(
                f"{phase.value} begins within {self._phase.value}: phases follow one another"
            )
        self._running.mark(phase, index)
        self._phase = phase
        try:
            yield PhaseFacts()
        finally:
            self._phase = None
            self._running.mark(Phase.OTHER)

    def _tell(self, **facts: float | None) -> None:
        told = {name: _plain(name, value) for name, value in facts.items() if value is not None}
        self._running.tell(**told)

    def _tell_frameworks(self) -> None:
        """What the script has loaded by now, where nothing was said."""
        if self._training.framework is None:
            loaded = [name for name in FRAMEWORKS if sys.modules.get(name)]
            versions = [_printable(f"{name} {_version(name)}") for name in loaded]
            if versions:
                self.describe(framework=", ".join(versions)[:64])

    @staticmethod
    def _end_abandoned() -> None:
        """End the measurement of a call of `fit` that Keras told nobody the end of.

        Raises:
            UsageError: what this process measures is no such thing.
        """
        if not abandoned:
            raise UsageError("this process measures already: end that measurement first")
        logger.warning("the measurement of a fit that did not come to its end is ended")
        abandoned[-1]()
        if not _measures.acquire(blocking=False):
            raise UsageError("this process measures already: end that measurement first")

    def _is_to_store(self) -> bool:
        """Whether there is a service to keep the report.

        Raises:
            UnavailableError: one was asked for, and none answers.
        """
        if self._store is False:
            return False
        named = self._store or "url" in self._settings.model_fields_set
        try:
            with Client(self._settings.url, self._settings.api_key, timeout=ASKING_S) as client:
                client.reports(limit=1)  # it may ask for a key
        except TrainwattError as error:
            if named:
                raise UnavailableError(str(error)) from error
            logger.info("the report will not be stored: %s", error)
            return False
        return True

    def _keep(self) -> None:
        """Store the report; a training that has ended does not fail for that."""
        try:
            self.keep()
        except TrainwattError as error:
            _warn(
                f"the report could not be stored: {error}; call keep() on the measurement to try "
                "again, or write() to have it in a file"
            )

    @staticmethod
    def _account(posted: PostedReport) -> Report:
        carbon = posted.training.carbon
        price = reference.intensity(carbon, default_country=None, default_region=None)
        return Report(**dict(account(posted, price)))


def _quiet(before: CpuSeconds, after: CpuSeconds, span_s: float, host_cpus: int) -> Quiet | None:
    """Whether others left the host alone before the run; null where it shows no counters."""
    if before.host_busy_s is None or after.host_busy_s is None:
        return None
    own_s = (after.job_cpu_s or 0.0) - (before.job_cpu_s or 0.0)
    others_s = max(0.0, after.host_busy_s - before.host_busy_s - own_s)
    share = min(1.0, others_s / (span_s * max(1, host_cpus)))
    return Quiet(waited_s=0.0, others_share=share, quiet=share <= BUSY_SHARE)


def _ended(error: BaseException | None) -> Ended:
    """How a training ended that raised this, or nothing."""
    if error is None:
        return Ended()
    if isinstance(error, SystemExit) and error.code in {None, 0}:
        return Ended()
    if isinstance(error, KeyboardInterrupt):
        return Ended(status="cancelled")
    name = type(error).__name__
    try:
        message = f"{name}: {error}"[:MOST_MESSAGE]
    except Exception:  # of an exception that cannot be put into words
        message = name
    return Ended(status="failed", error=JobError(code="training_error", message=_text(message)))


@contextlib.contextmanager
def _sigint_later() -> Iterator[None]:
    """Let Ctrl-C wait until the block has ended: what was measured is worth the moment."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)
        if came:
            signal.raise_signal(signal.SIGINT)


def _text(message: str) -> str:
    """What can be stored and sent of any text."""
    return message.replace("\0", " ").encode("utf-8", "backslashreplace").decode()


def _plain(name: str, value: float) -> float | None:
    """A number of NumPy's or a framework's as Python's own; null for one that means nothing."""
    try:
        plain = float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        _warn(f"{name}: expected a number, received {type(value).__name__}: it is left out")
        return None
    if name == "samples":
        return _whole(plain)
    if name.endswith("accuracy") and not 0 <= plain <= 1:
        _warn(f"{name}: expected a share from 0 to 1, received {plain}: it is left out")
        return None
    return plain if math.isfinite(plain) else None


def _whole(samples: float) -> int | None:
    """A number of samples; null, with a warning, for what is none."""
    if not (0 <= samples <= MOST_SAMPLES and samples == int(samples)):
        _warn(f"samples: expected a whole number from 0 on, received {samples}: it is left out")
        return None
    return int(samples)


def _warn(what: str) -> None:
    """Tell the script's author what did not work, and let the training go on."""
    warnings.warn(what, stacklevel=4)


def _printable(text: str) -> str:
    return "".join(filter(str.isprintable, text)).strip()


def _version(name: str) -> str:
    return str(getattr(sys.modules[name], "__version__", "")).strip()


def _say_wait() -> None:
    logger.warning("another training is measured on this host: this one waits for its end")
