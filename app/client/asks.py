"""Every call of the API as data: method, path, parameters, and how its answer is read."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from app.client.address import key_header
from app.client.models import (
    ExperimentList,
    ExperimentReport,
    JobList,
    Report,
    RowList,
    as_experiment,
    as_job,
    parse,
)
from app.domain.comparisons import Comparison
from app.domain.datasets import UploadedDataset
from app.domain.experiments import Experiment
from app.domain.hosts import Host
from app.domain.jobs import Job, JobStatus
from app.domain.posted import PostedReport
from app.domain.quotes import Quote, TrackRecord
from app.domain.readings import Readings
from app.domain.report_rows import NEWEST_FIRST, ReportRow, ReportSort
from app.domain.specs import JobSpec

Answer = TypeVar("Answer")
Params = Mapping[str, str | float | None]
Tag = tuple[str, str]

JSON_BODY = {"Content-Type": "application/json"}
FILE_BODY = {"Content-Type": "application/octet-stream"}
ACCOUNTING_S = 60.0  # what a long training's readings are given to be accounted for
LOOKING_S = 600.0  # what an upload is given to be looked through and kept, once it is sent


@dataclass(frozen=True, kw_only=True)
class Ask(Generic[Answer]):
    """One call. `longer_s` is what it may take beyond the client's timeout, in seconds."""

    read: Callable[[Any], Answer]
    method: str = "GET"
    path: str
    params: Params = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    longer_s: float = 0.0


def encoded(body: Any) -> bytes | None:
    """NaN and infinity go out as they are: the service names the field that they stand in."""
    return None if body is None else json.dumps(body).encode()


def given(params: Params | None) -> dict[str, str | float]:
    """The parameters that have a value."""
    return {name: value for name, value in (params or {}).items() if value is not None}


def job_path(job_id: str) -> str:
    """The path of one job."""
    return f"/v1/jobs/{quote(job_id, safe='')}"


def submit(
    spec: JobSpec | Mapping[str, Any],
    wait: float | None,
    idempotency_key: str | None,
    *,
    force: bool,
) -> Ask[Job]:
    """Queue a training."""
    return Ask(
        method="POST",
        path="/v1/jobs",
        body=_spec_body(spec),
        params={"wait": wait, **forced(force)},
        headers=key_header(idempotency_key),
        longer_s=wait or 0.0,
        read=as_job,
    )


def _spec_body(spec: JobSpec | Mapping[str, Any]) -> Mapping[str, Any]:
    return spec.model_dump(mode="json") if isinstance(spec, JobSpec) else spec


def forced(force: bool) -> dict[str, str]:
    """The query parameter that forces what is asked for; none where it is not forced."""
    return {"force": "true"} if force else {}


def quote_body(
    spec: JobSpec | Mapping[str, Any], host: str | None, *, pilot: bool
) -> dict[str, Any]:
    """What `POST /v1/quotes` takes."""
    return {"spec": _spec_body(spec), "host": host, "pilot": pilot}


def quote_job(
    spec: JobSpec | Mapping[str, Any], host: str | None, *, pilot: bool, wait: float | None
) -> Ask[Quote]:
    """What a job would cost."""
    return Ask(
        method="POST",
        path="/v1/quotes",
        body=quote_body(spec, host, pilot=pilot),
        params={"wait": wait},
        longer_s=wait or 0.0,
        read=lambda body: parse(Quote, body),
    )


def track_record() -> Ask[TrackRecord]:
    """How quotes have held."""
    return Ask(path="/v1/quotes/track-record", read=lambda body: parse(TrackRecord, body))


def get(job_id: str) -> Ask[Job]:
    """One job."""
    return Ask(path=job_path(job_id), read=as_job)


def jobs(limit: int | None, cursor: str | None, **filters: Any) -> Ask[JobList]:
    """One page of jobs."""
    return Ask(
        path="/v1/jobs",
        params={**_filters(**filters), "limit": limit, "cursor": cursor},
        read=lambda page: JobList(
            items=tuple(map(as_job, page["items"])), next_cursor=page.get("next_cursor")
        ),
    )


def cancel(job_id: str) -> Ask[Job]:
    """Ask for the end of a job."""
    return Ask(method="POST", path=f"{job_path(job_id)}/cancel", read=as_job)


def report(job_id: str, evaluation: Params) -> Ask[Report]:
    """The energy report, evaluated again with what is given."""
    return Ask(
        path=f"{job_path(job_id)}/report",
        params=evaluation,
        read=lambda body: parse(Report, body),
    )


def reports(
    sort: ReportSort = NEWEST_FIRST,
    limit: int | None = None,
    cursor: str | None = None,
    **filters: Any,
) -> Ask[RowList]:
    """One page of flat rows."""
    return Ask(
        path="/v1/reports",
        params={**_filters(**filters), "sort": sort, "limit": limit, "cursor": cursor},
        read=lambda page: RowList(
            items=tuple(parse(ReportRow, item) for item in page["items"]),
            next_cursor=page.get("next_cursor"),
        ),
    )


def post_report(posted: PostedReport) -> Ask[Report]:
    """Keep a training that ran outside of the service."""
    return Ask(
        method="POST",
        path="/v1/reports",
        body=posted.model_dump(mode="json", exclude_defaults=True),
        longer_s=ACCOUNTING_S,
        read=lambda body: parse(Report, body),
    )


def create_experiment(spec: Mapping[str, Any], *, force: bool) -> Ask[Experiment]:
    """Queue an experiment."""
    return Ask(
        method="POST",
        path="/v1/experiments",
        body=spec,
        params=forced(force),
        read=as_experiment,
    )


def experiment_path(experiment_id: str) -> str:
    """The path of one experiment."""
    return f"/v1/experiments/{quote(experiment_id, safe='')}"


def experiment(experiment_id: str) -> Ask[ExperimentReport]:
    """One experiment with its result so far."""
    return Ask(path=experiment_path(experiment_id), read=lambda body: parse(ExperimentReport, body))


def experiments(limit: int | None, cursor: str | None) -> Ask[ExperimentList]:
    """One page of experiments."""
    return Ask(
        path="/v1/experiments",
        params={"limit": limit, "cursor": cursor},
        read=lambda page: ExperimentList(
            items=tuple(map(as_experiment, page["items"])), next_cursor=page.get("next_cursor")
        ),
    )


def cancel_experiment(experiment_id: str) -> Ask[Experiment]:
    """Ask for the end of an experiment."""
    return Ask(method="POST", path=f"{experiment_path(experiment_id)}/cancel", read=as_experiment)


def compare(a: str, b: str) -> Ask[Comparison]:
    """How one job's energy stands to another's."""
    return Ask(
        path="/v1/compare",
        params={"a": a, "b": b},
        read=lambda body: parse(Comparison, body),
    )


def readings(job_id: str, attempt: int | None) -> Ask[Readings]:
    """The raw readings of an attempt."""
    return Ask(
        path=f"{job_path(job_id)}/readings",
        params={"attempt": attempt},
        read=lambda body: parse(Readings, body),
    )


def export_path(job_id: str, name: str) -> str:
    """Where a report is in another one's format."""
    return f"{job_path(job_id)}/exports/{quote(name, safe='')}"


def hosts() -> Ask[tuple[Host, ...]]:
    """Every host."""
    return Ask(
        path="/v1/hosts",
        read=lambda body: tuple(parse(Host, item) for item in body["items"]),
    )


def workloads() -> Ask[dict[str, Any]]:
    """What can be trained."""
    return Ask(path="/v1/workloads", read=dict)


def datasets() -> Ask[tuple[UploadedDataset, ...]]:
    """The data sets of users."""
    return Ask(
        path="/v1/datasets",
        read=lambda body: tuple(parse(UploadedDataset, item) for item in body["items"]),
    )


def delete_dataset(name: str) -> Ask[None]:
    """Delete a data set."""
    return Ask(method="DELETE", path=f"/v1/datasets/{quote(name, safe='')}", read=lambda _: None)


def _filters(
    *,
    status: JobStatus | None = None,
    model_type: str | None = None,
    host: str | None = None,
    tag: Tag | None = None,
) -> dict[str, str | None]:
    """Which jobs are meant, as query parameters."""
    return {
        "status": status.value if status else None,
        "model_type": model_type,
        "host": host,
        "tag": ":".join(tag) if tag else None,
    }
