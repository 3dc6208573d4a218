"""What runs now, what waits, what was measured last."""

import asyncio

from fastapi import APIRouter
from starlette.responses import Response

from app.api.routes.requests import Serving
from app.domain.jobs import Job, JobFilter, JobStatus
from app.domain.report_rows import ReportRow
from app.service import Service
from app.web.pages import page

WAITING, FINISHED, RUNNING = 10, 10, 20
FIRST = {"model_type": "cnn", "size": "base", "epochs": "3", "dataset.name": "mnist5k"}

router = APIRouter()


@router.get("/")
async def overview(service: Serving) -> Response:
    """The page that is opened first."""
    running, waiting, rows, figures, hosts = await asyncio.gather(
        _jobs(service, JobStatus.RUNNING, RUNNING),
        _jobs(service, JobStatus.QUEUED, WAITING),
        service.report_rows(limit=FINISHED),
        service.figures(),
        service.hosts(),
    )
    glances = await asyncio.gather(*map(service.at_a_glance, running))
    return page(
        "overview",
        here="/",
        running=list(zip(running, glances, strict=True)),
        waiting=waiting,
        rows=[ReportRow.model_validate_json(row) for row in rows.rows],
        figures=figures,
        spent_j=sum(one.energy_j for one in figures.finished.values()),
        finished=sum(one.jobs for one in figures.finished.values()),
        hosts=hosts,
        first=FIRST,
    )


async def _jobs(service: Service, status: JobStatus, limit: int) -> tuple[Job, ...]:
    return tuple((await service.list_jobs(JobFilter(status=status), limit=limit)).items)
