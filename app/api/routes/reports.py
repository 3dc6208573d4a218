"""What a job leaves behind: its report, and the readings that it is computed from."""

import asyncio
import hashlib
import json
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse
from starlette.routing import Match, Route
from starlette.types import Scope

from app.api import docs, parquet
from app.api.accept import preferred
from app.api.routes.evaluation import EvaluationQuery, evaluation
from app.api.routes.requests import (
    TEXT,
    JobFilterQuery,
    JobId,
    NoQueryHere,
    Query,
    Serving,
    body,
    query,
    serving,
)
from app.api.routes.views import ReportPageView
from app.api.tables import csv_chunks
from app.api.validation import json_object, shown, validated
from app.domain.errors import FieldError, SpecError
from app.domain.evaluation import Evaluation
from app.domain.posted import MOST_READINGS, PostedReport
from app.domain.readings import Reading, Readings
from app.domain.report_rows import NEWEST_FIRST, ReportSort
from app.domain.reports import EnergyReport

MAX_ROWS = 10_000
JSON_ROWS = 50
MAX_POSTED_BYTES = 16 * 2**20
# Of a body: each reading has two objects and under thirty values. Looked at before it is parsed.
MOST_OBJECTS, MOST_VALUES = 5 * MOST_READINGS, 60 * MOST_READINGS
_one_at_a_time = asyncio.Semaphore(1)  # reading one takes seconds and hundreds of MB
JOB_REPORT = re.compile(r"/v1/jobs/([A-Za-z0-9_-]{1,64})/report")
JSON, CSV = "application/json", "text/csv"
FORMATS = {"json": JSON, "csv": CSV, "parquet": parquet.MEDIA_TYPE}
TEXT_SCHEMA = {"type": "string"}
BYTES_SCHEMA = {"type": "string", "format": "binary"}
UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The report is still the one that `If-None-Match` names"}
}

router = APIRouter(tags=["reports"])


class ReportQuery(JobFilterQuery):
    """Which flat rows to list, in which order and format."""

    sort: Annotated[
        ReportSort,
        Field(description="with `-`: the largest or newest first; rows without a value are last"),
    ] = NEWEST_FIRST
    limit: Annotated[
        int | None,
        Field(ge=1, le=MAX_ROWS, description="rows of one page; left out: 50 as JSON, else 10,000"),
    ] = None
    cursor: Annotated[
        str | None, Field(max_length=512, pattern=TEXT, description="a page's `next_cursor`")
    ] = None
    format: Annotated[
        Literal["json", "csv", "parquet"] | None,
        Field(description="left out: as `Accept` wants it"),
    ] = None


class ReadingsQuery(Query):
    """Which readings of a job."""

    attempt: Annotated[
        int | None, Field(ge=1, le=2**31 - 1, description="its number; left out: the newest")
    ] = None


def _readings_query(request: Request) -> ReadingsQuery:
    return query(request, ReadingsQuery)


def _report_query(request: Request) -> ReportQuery:
    return query(request, ReportQuery)


def _also(media: str, schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can answer in this media type too."""
    return {200: {"content": {media: {"schema": schema}}}}


def _tables() -> dict[int | str, dict[str, Any]]:
    content = {CSV: {"schema": TEXT_SCHEMA}, parquet.MEDIA_TYPE: {"schema": BYTES_SCHEMA}}
    return {200: {"content": content}}


@router.get(
    "/v1/jobs/{job_id}/report",
    operation_id="get_report",
    response_model=EnergyReport,
    responses=docs.problems(404, 409, 503) | UNCHANGED,
    openapi_extra=docs.query(EvaluationQuery),
)
async def get_report(
    request: Request,
    service: Serving,
    job_id: JobId,
    wanted: Annotated[Evaluation, Depends(evaluation)],
) -> Response:
    """The energy report of a final job, or its readings evaluated with what is given here."""
    return _tagged(request, await service.evaluated(job_id, wanted))


class StoredReport(Route):
    """The same without any parameter, before all other routes: most calls are that.

    Stored bytes need no parameters resolved and no answer shaped, which is three quarters of the
    work of the route that the description shows.
    """

    def __init__(self) -> None:
        """Beside `get_report`, at its path."""
        super().__init__("/v1/jobs/{job_id}/report", _stored_report, include_in_schema=False)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Take what `get_report` would answer without a look at its parameters."""
        here = JOB_REPORT.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if here is None or scope["method"] != "GET" or scope["query_string"]:
            return Match.NONE, {}
        found = {"endpoint": self.endpoint, "path_params": {"job_id": here[1]}, "route": self}
        return Match.FULL, found


async def _stored_report(request: Request) -> Response:
    service = await serving(request)
    return _tagged(request, await service.report(request.path_params["job_id"]))


@router.get(
    "/v1/reports",
    operation_id="list_reports",
    response_model=ReportPageView,
    responses=docs.problems(406, 503) | _tables(),
    openapi_extra=docs.query(ReportQuery),
)
async def list_reports(
    request: Request, service: Serving, wanted: Annotated[ReportQuery, Depends(_report_query)]
) -> Response:
    """One flat row a report, a page at a time; `Link` leads to the next page."""
    named = FORMATS.get(wanted.format or "")
    media = named or _chosen(request, tuple(FORMATS.values()))
    limit = wanted.limit or (JSON_ROWS if media == JSON else MAX_ROWS)
    page = await service.report_rows(
        wanted.meant(), sort=wanted.sort, limit=limit, cursor=wanted.cursor
    )
    headers = {"Vary": "Accept"}
    if page.next_cursor is not None:
        headers["Link"] = _next(request, media, page.next_cursor)
    if media != JSON:
        name = f"trainwatt-reports.{_name(media)}"
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    if media == CSV:
        return StreamingResponse(csv_chunks(page.rows), headers=headers, media_type=CSV)
    if media == parquet.MEDIA_TYPE:
        file = await run_in_threadpool(parquet.rows_parquet, page.rows)
        return Response(file, headers=headers, media_type=media)
    body = f'{{"items":[{",".join(page.rows)}],"next_cursor":{json.dumps(page.next_cursor)}}}'
    return Response(body, headers=headers, media_type=JSON)


async def _posted(request: Request) -> PostedReport:
    """What the body holds, read in a thread: it may be long."""
    received = await body(request, MAX_POSTED_BYTES, "report")
    async with _one_at_a_time:
        return await run_in_threadpool(_read, received)


def _read(received: bytes) -> PostedReport:
    """One reading after the other, up to the first that does not hold.

    Raises:
        SpecError: a field does not hold.
    """
    if received.count(b"{") > MOST_OBJECTS or received.count(b",") > MOST_VALUES:
        expected = f"a report of 2 to {MOST_READINGS:,} readings"
        raise SpecError(FieldError(field="body", expected=expected, received="more values"))
    given = json_object(received)
    readings = given.get("readings")
    items = readings.get("readings") if isinstance(readings, dict) else None
    if not isinstance(items, list) or len(items) > MOST_READINGS:
        count = len(items) if isinstance(items, list) else shown(items)
        expected = f"a list of 2 to {MOST_READINGS:,} readings"
        raise SpecError(FieldError(field="readings.readings", expected=expected, received=count))
    for place, item in enumerate(items):
        try:
            validated(Reading, item)
        except SpecError as error:
            raise error.within(f"readings.readings[{place}]") from error
    return validated(PostedReport, given)


@router.post(
    "/v1/reports",
    operation_id="post_report",
    status_code=201,
    response_model=EnergyReport,
    responses=docs.problems(413, 415, 503)
    | {200: {"description": "It is kept already", "model": EnergyReport}},
    openapi_extra=docs.json_body(PostedReport, {}),
    dependencies=[NoQueryHere],
)
async def post_report(
    service: Serving, posted: Annotated[PostedReport, Depends(_posted)]
) -> Response:
    """Account for a training that ran outside of the service, and keep it as a final job.

    `Location` is where it is shown. Sent again, the same content is the same job.
    """
    made, new = await service.keep_posted(posted)
    headers = {"Location": f"/v1/jobs/{made.job_id}"}
    status = 201 if new else 200
    return Response(made.model_dump_json(), status, headers=headers, media_type=JSON)


@router.get(
    "/v1/jobs/{job_id}/readings",
    operation_id="get_readings",
    response_model=Readings,
    responses=docs.problems(404, 406, 409, 503) | _also(parquet.MEDIA_TYPE, BYTES_SCHEMA),
    openapi_extra=docs.query(ReadingsQuery),
)
async def get_readings(
    request: Request,
    service: Serving,
    job_id: JobId,
    wanted: Annotated[ReadingsQuery, Depends(_readings_query)],
) -> Response:
    """The raw readings of an attempt, as JSON or Parquet: what the report is computed from."""
    media = _chosen(request, (JSON, parquet.MEDIA_TYPE))
    headers = {"Vary": "Accept"}
    if media == JSON:
        body = await service.readings_json(job_id, wanted.attempt)
        return Response(body, headers=headers, media_type=JSON)
    readings = await service.readings(job_id, wanted.attempt)
    name = f"trainwatt-{job_id}-attempt-{readings.attempt}.parquet"
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    file = await run_in_threadpool(parquet.parquet, readings)
    return Response(file, headers=headers, media_type=media)


def _chosen(request: Request, offered: tuple[str, ...]) -> str:
    """The media type to answer in.

    Raises:
        HTTPException: the request wants none of them (406).
    """
    media = preferred(request, offered)
    if media is None:
        raise HTTPException(406, f"It can be had as {' or '.join(offered)}.")
    return media


def _next(request: Request, media: str, cursor: str) -> str:
    """The header that leads to the next page, for whatever follows it without our `Accept`."""
    form = {} if media == JSON else {"format": _name(media)}
    rest = urlencode({**request.query_params, **form, "cursor": cursor})
    return f'<{request.url.path}?{rest}>; rel="next"'


def _name(media: str) -> str:
    """What `format` calls a media type."""
    return next(name for name, one in FORMATS.items() if one == media)


def _tagged(request: Request, body: bytes) -> Response:
    """These bytes of JSON, or that they are still those that the client has."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = ",".join(request.headers.getlist("if-none-match"))
    if known and any(_same(one.strip(), tag) for one in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=JSON)


def _same(given: str, tag: str) -> bool:
    return given == "*" or given.removeprefix("W/") == tag
