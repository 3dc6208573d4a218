"""The client of a service: plain calls over HTTP."""

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar

import httpx

from app.client import asks, stream
from app.client.address import bearer, checked, is_loopback
from app.client.answers import content, reachable, text, understood
from app.client.asks import FILE_BODY, JSON_BODY, LOOKING_S, Ask
from app.client.models import ExperimentList, ExperimentReport, JobList, Report, RowList, parse
from app.client.tracked import TrackedJob
from app.domain.comparisons import Comparison
from app.domain.datasets import UploadedDataset
from app.domain.errors import TrainwattError, UnavailableError, UsageError
from app.domain.events import JobEvent
from app.domain.experiments import Experiment
from app.domain.hosts import Host
from app.domain.jobs import Job, JobStatus
from app.domain.posted import PostedReport
from app.domain.quotes import Quote, TrackRecord
from app.domain.readings import Readings
from app.domain.report_rows import NEWEST_FIRST, ReportSort
from app.domain.specs import JobSpec

Answer = TypeVar("Answer")

DEFAULT_TIMEOUT_S = 30.0


class Client:
    """A service at one URL. A context manager; every call raises domain errors alone.

    Answers of a newer service are understood: fields that this client does not know are ignored.
    """

    def __init__(
        self, url: str, api_key: str | None = None, *, timeout: float = DEFAULT_TIMEOUT_S
    ) -> None:
        """Open no connection yet.

        Args:
            url: where the service answers, `http://127.0.0.1:8000`.
            api_key: sent as a bearer token where given.
            timeout: seconds that one call may take.

        Raises:
            UsageError: the URL is not one, or the key cannot stand in a header.
        """
        self.url = url.rstrip("/")
        self._timeout_s = timeout
        self._http = httpx.Client(
            base_url=checked(self.url),
            headers=bearer(api_key),
            timeout=timeout,
            trust_env=not is_loopback(self.url),  # no proxy stands between us and ourselves
        )

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        file: BinaryIO | None = None,
        params: Mapping[str, str | float | None] | None = None,
        headers: Mapping[str, str] | None = None,
        longer_s: float = 0.0,
    ) -> Any:
        """One call, answered as the API's own JSON; it may take `longer_s` seconds more.

        A body is sent as JSON, a file as it is.

        Raises:
            SpecError: the service refuses the spec or a parameter (422).
            NotFoundError: there is no such thing (404).
            StateError: the thing's state does not allow this (409).
            IdempotencyError: the idempotency key stands for another spec (409).
            NameTakenError: the name stands for other data (409).
            QueueFullError: too many jobs wait (429).
            UsageError: the service refuses the call in another way (other 4xx).
            UnavailableError: nothing answers, not in time, or not as trainwatt would.
        """
        media = FILE_BODY if file else JSON_BODY if body else {}
        with reachable(self.url, self._timeout_s):
            response = self._http.request(
                method,
                path,
                content=file or asks.encoded(body),
                headers={**media, **(headers or {})},
                params=asks.given(params),
                timeout=self._timeout_s + longer_s,
            )
        return content(self.url, response)

    def submit(
        self,
        spec: JobSpec | Mapping[str, Any],
        *,
        wait: float | None = None,
        idempotency_key: str | None = None,
        force: bool = False,
    ) -> TrackedJob:
        """Queue a training; the job as it was queued.

        `client.submit(spec).wait(progress=True).report()` is the whole way.

        Args:
            spec: what to train.
            wait: seconds to wait for the job to end; the job as it is then.
            idempotency_key: sent again with the same spec, it gives the job that it made.
            force: take it too where it is expected to exceed a limit that it has.

        Raises:
            SpecError: a field of the spec, the wait or the key does not hold.
            OverBudgetError: its quote's low end is above `limits.energy_j` or `limits.emissions_g`.
            IdempotencyError: the key was sent with another spec before.
            QueueFullError: too many jobs wait already.
            UnavailableError: the service does not answer.
        """
        return self._tracked(self._do(asks.submit(spec, wait, idempotency_key, force=force)))

    def quote(
        self,
        spec: JobSpec | Mapping[str, Any],
        *,
        host: str | None = None,
        pilot: bool = False,
        wait: float | None = None,
    ) -> Quote:
        """What a training is expected to cost, with 90 % intervals, without running it.

        Args:
            spec: what would be trained.
            host: where; null: where it costs the least.
            pilot: run a few steps where too few jobs are like it. The quote is `pending` until
                they have ended.
            wait: seconds to wait for that.

        Raises:
            SpecError: a field of the spec does not hold, or no worker of the host takes the job.
            QueueFullError: there is no room for the pilot.
            UnavailableError: the service does not answer.
        """
        return self._do(asks.quote_job(spec, host, pilot=pilot, wait=wait))

    def track_record(self) -> TrackRecord:
        """How far earlier quotes were off, over all and by host and family.

        Raises:
            UnavailableError: the service does not answer.
        """
        return self._do(asks.track_record())

    def events(
        self, job_id: str, *, after: str | None = None, patience_s: float = stream.PATIENCE_S
    ) -> Iterator[JobEvent]:
        """What happens to a job, as it happens, until its final status.

        A lost connection is made again and goes on after the last event.

        Args:
            job_id: the job.
            after: the id of an event: begin after it.
            patience_s: how long the service may be away, in seconds.

        Raises:
            NotFoundError: there is no such job.
            UnavailableError: the service was away for longer.
        """
        here_s = time.monotonic()
        while True:
            try:
                with closing(self._stream(job_id, after)) as events:
                    for event in events:
                        here_s = time.monotonic()
                        if event is None:
                            continue
                        after = event.id
                        yield event
                        if stream.is_last(event):
                            return
            except stream.OverError:
                return
            except UnavailableError:
                if time.monotonic() - here_s > patience_s:
                    raise
            time.sleep(stream.AGAIN_S)

    def _stream(self, job_id: str, after: str | None) -> Generator[JobEvent | None]:
        """One connection's events; null where the service said something else."""
        headers = stream.headers(after)
        limits = httpx.Timeout(self._timeout_s, read=stream.SILENCE_S)
        path = f"{asks.job_path(job_id)}/events"
        with (
            reachable(self.url, self._timeout_s),
            self._http.stream("GET", path, headers=headers, timeout=limits) as response,
        ):
            if response.status_code == HTTPStatus.NO_CONTENT:
                raise stream.OverError
            if not stream.is_stream(response):
                response.read()
                content(self.url, response)
                raise UnavailableError(f"what answers at {self.url} sends no events")
            with stream.understood(self.url):
                decoder = stream.Decoder()
                for piece in response.iter_bytes():
                    yield from decoder.take(piece)

    def get(self, job_id: str) -> TrackedJob:
        """One job.

        Raises:
            NotFoundError: there is no such job.
            UnavailableError: the service does not answer.
        """
        return self._tracked(self._do(asks.get(job_id)))

    def list(
        self,
        *,
        status: JobStatus | None = None,
        model_type: str | None = None,
        host: str | None = None,
        tag: tuple[str, str] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> JobList:
        """One page of jobs, newest first.

        Raises:
            SpecError: a filter or the cursor does not hold.
            UnavailableError: the service does not answer.
        """
        filters = {"status": status, "model_type": model_type, "host": host, "tag": tag}
        page = self._do(asks.jobs(limit, cursor, **filters))
        return JobList(items=tuple(map(self._tracked, page.items)), next_cursor=page.next_cursor)

    def cancel(self, job_id: str) -> TrackedJob:
        """Ask for the end of a job; a queued one is cancelled at once.

        Raises:
            NotFoundError: there is no such job.
            StateError: the job is final already.
            UnavailableError: the service does not answer.
        """
        return self._tracked(self._do(asks.cancel(job_id)))

    def report(
        self,
        job_id: str,
        *,
        assumptions: str | None = None,
        country_iso_code: str | None = None,
        region: str | None = None,
        intensity_g_per_kwh: float | None = None,
        pue: float | None = None,
    ) -> Report:
        """The energy report of a final job; what is given is evaluated again from its readings.

        Args:
            job_id: the job.
            assumptions: a set of assumptions by name.
            country_iso_code: whose price of a kilowatt-hour; without a region the whole country.
            region: of that country, or of the report's.
            intensity_g_per_kwh: grams of CO2e a kilowatt-hour, instead of a table's figure.
            pue: power usage effectiveness, 1 or more.

        Raises:
            SpecError: something given is not known or does not hold.
            NotFoundError: there is no such job.
            StateError: the job is not final yet, or its readings cannot be accounted for again.
            UnavailableError: the service does not answer.
        """
        evaluation = {
            "assumptions": assumptions,
            "country_iso_code": country_iso_code,
            "region": region,
            "intensity_g_per_kwh": intensity_g_per_kwh,
            "pue": pue,
        }
        return self._do(asks.report(job_id, evaluation))

    def reports(
        self,
        *,
        status: JobStatus | None = None,
        model_type: str | None = None,
        host: str | None = None,
        tag: tuple[str, str] | None = None,
        sort: ReportSort = NEWEST_FIRST,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> RowList:
        """One page of flat rows, a report each; with `-` the largest or newest come first.

        Raises:
            SpecError: a filter or the cursor does not hold.
            UnavailableError: the service does not answer.
        """
        filters = {"status": status, "model_type": model_type, "host": host, "tag": tag}
        return self._do(asks.reports(sort, limit, cursor, **filters))

    def export(self, job_id: str, name: str, **params: str | float | None) -> str:
        """The report of a final job in another one's format.

        Args:
            job_id: the job.
            name: `codecarbon`, `model-card`, `sci` or `statement`.
            params: with what it is evaluated, as in `report`; of `sci`, `unit` and `embodied_g`.

        Raises:
            NotFoundError: there is no such job, or no such format.
            StateError: the job is not final.
            SpecError: a parameter does not hold.
            UnavailableError: the service does not answer.
        """
        with reachable(self.url, self._timeout_s):
            response = self._http.get(asks.export_path(job_id, name), params=asks.given(params))
        return text(self.url, response)

    def post_report(self, posted: PostedReport) -> Report:
        """Keep a training that ran outside of the service as a final job; its report.

        The same content sent again is the same job.

        Raises:
            SpecError: something in it does not hold, or cannot be accounted for.
            UsageError: it is longer than the service takes.
            UnavailableError: the service does not answer.
        """
        return self._do(asks.post_report(posted))

    def create_experiment(self, spec: Mapping[str, Any], *, force: bool = False) -> Experiment:
        """Queue every repeat of every variant of an experiment, or nothing.

        Args:
            spec: `base`, `vary` or `variants`, `repeats` and the rest, as `POST /v1/experiments`.
            force: take it too where jobs are expected to exceed a limit that they have.

        Raises:
            SpecError: something does not hold; each field is named.
            OverBudgetError: the jobs of a variant are expected to exceed a limit that they have.
            QueueFullError: the queue has no room for all of its jobs.
            UnavailableError: the service does not answer.
        """
        return self._do(asks.create_experiment(spec, force=force))

    def experiment(self, experiment_id: str) -> ExperimentReport:
        """An experiment with its result so far.

        Raises:
            NotFoundError: there is no such experiment.
            UnavailableError: the service does not answer.
        """
        return self._do(asks.experiment(experiment_id))

    def experiments(self, limit: int | None = None, cursor: str | None = None) -> ExperimentList:
        """A page of experiments, newest first, without their results.

        Args:
            limit: how many.
            cursor: the `next_cursor` of the page before.

        Raises:
            SpecError: a parameter does not hold.
            UnavailableError: the service does not answer.
        """
        return self._do(asks.experiments(limit, cursor))

    def cancel_experiment(self, experiment_id: str) -> Experiment:
        """End an experiment: its waiting jobs at once, the running one in moments.

        Raises:
            NotFoundError: there is no such experiment.
            StateError: it has ended.
            UnavailableError: the service does not answer.
        """
        return self._do(asks.cancel_experiment(experiment_id))

    def compare(self, a: str, b: str) -> Comparison:
        """How one job's energy stands to another's, and whether that survives other assumptions.

        Args:
            a: the job that the other is set against, or `EXPERIMENT:NUMBER`, a variant with all of
                its runs that succeeded.
            b: the other one.

        Raises:
            NotFoundError: there is no such job, experiment or variant.
            StateError: one is not final, or did not succeed.
            SpecError: both are the same.
            UnavailableError: the service does not answer.
        """
        return self._do(asks.compare(a, b))

    def readings(self, job_id: str, attempt: int | None = None) -> Readings:
        """The raw readings of an attempt of a job, the newest where none is named.

        Raises:
            NotFoundError: there is no such job, or no such attempt of it.
            StateError: the job has no readings.
            UnavailableError: the service does not answer.
        """
        return self._do(asks.readings(job_id, attempt))

    def hosts(self) -> tuple[Host, ...]:
        """Every host that a worker announced.

        Raises:
            UnavailableError: the service does not answer.
        """
        return self._do(asks.hosts())

    def workloads(self) -> dict[str, Any]:
        """What can be trained: model types with their sizes, and data sets.

        Raises:
            UnavailableError: the service does not answer.
        """
        return self._do(asks.workloads())

    def datasets(self) -> tuple[UploadedDataset, ...]:
        """The data sets of users, by name.

        Raises:
            UnavailableError: the service does not answer.
        """
        return self._do(asks.datasets())

    def upload_dataset(self, path: Path, name: str) -> UploadedDataset:
        """Keep an `.npz` file as a data set; the same file twice under one name is kept once.

        Args:
            path: a file of `numpy.savez` with x_train, y_train and, if wanted, x_test, y_test.
            name: what `dataset.name` of a spec will say.

        Raises:
            SpecError: the name cannot be used, or the file holds no data set.
            NameTakenError: the name stands for other data.
            QueueFullError: too many data sets are being uploaded.
            UsageError: the file is longer than the service allows, or cannot be read.
            UnavailableError: the service does not answer.
        """
        return parse(UploadedDataset, self.call_with_file(path, name))

    def call_with_file(self, path: Path, name: str) -> Any:
        """As `upload_dataset`, answered as the API's own JSON."""
        try:
            file = path.open("rb")
        except OSError as error:
            raise UsageError(f"{path} cannot be read ({error.strerror})") from error
        with file:
            where, params = "/v1/datasets", {"name": name}
            return self.call("POST", where, file=file, params=params, longer_s=LOOKING_S)

    def delete_dataset(self, name: str) -> None:
        """Delete a data set of a user's.

        Raises:
            NotFoundError: there is none of this name.
            StateError: a job that is not final asks for it.
            UnavailableError: the service does not answer.
        """
        self._do(asks.delete_dataset(name))

    def ready(self) -> bool:
        """Whether the service answers and everything that it needs does too; raises nothing."""
        try:
            self.call("GET", "/readyz")
        except TrainwattError:
            return False
        return True

    def _do(self, ask: Ask[Answer]) -> Answer:
        data = self.call(
            ask.method,
            ask.path,
            body=ask.body,
            params=ask.params,
            headers=ask.headers,
            longer_s=ask.longer_s,
        )
        with understood(self.url):
            return ask.read(data)

    def _tracked(self, job: Job) -> TrackedJob:
        return TrackedJob.of(job, self)
