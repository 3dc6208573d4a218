"""One job: live while it runs, then its report."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from app.accounting.assumptions import SETS
from app.api.routes.evaluation import EvaluationQuery
from app.api.routes.requests import JobId, Serving
from app.api.validation import validated
from app.domain.errors import SpecError
from app.domain.evaluation import Evaluation
from app.domain.jobs import Job
from app.domain.reports import EnergyReport
from app.exports.formats import FORMATS
from app.service import Service
from app.web import charts
from app.web.forms import filled, refuse_foreign
from app.web.pages import page
from app.web.snippets import snippets

MOST_PHASES = 300  # that a page lists
MOST_EPOCHS = 500  # that a chart has a point for

router = APIRouter()


@router.get("/jobs/{job_id}")
async def job(request: Request, service: Serving, job_id: JobId) -> Response:
    """Its page; with parameters its report is evaluated with them."""
    found = await service.get(job_id)
    given = filled(request.query_params.multi_items())
    wrong: SpecError | None = None
    report: EnergyReport | None
    if found.status.final:
        report, wrong = await _evaluated(service, job_id, given)
    else:
        report = await service.so_far(found)
    return page(
        "job",
        status=422 if wrong else 200,
        here="",
        job=found,
        report=report,
        drawn=await asyncio.to_thread(_charts, report) if report else {},
        given=given,
        wrong=wrong,
        sets=list(SETS),
        formats=FORMATS,
        phases=report.phases[:MOST_PHASES] if report else (),
        ways=_ways(request, found),
        stuck=await service.stuck(found),
    )


def _ways(request: Request, found: Job) -> dict[str, str]:
    """How the same job is submitted; nothing of a training that ran outside of the service."""
    if found.spec is None:
        return {}
    return snippets(found.spec, str(request.base_url).rstrip("/"), key=request.app.state.keyed)


@router.post("/jobs/{job_id}/cancel")
async def cancel(request: Request, service: Serving, job_id: JobId) -> Response:
    """End it, and show it again."""
    refuse_foreign(request.headers)
    await service.cancel(job_id)
    return RedirectResponse(f"/jobs/{job_id}", status_code=303)


async def _evaluated(
    service: Service, job_id: str, given: dict[str, str]
) -> tuple[EnergyReport, SpecError | None]:
    """The report with what is given; as it is stored, with the error, where that does not hold."""
    try:
        wanted = validated(EvaluationQuery, given, noun="query parameter")
        return await _parsed(await service.evaluated(job_id, Evaluation(**dict(wanted)))), None
    except SpecError as error:
        return await _parsed(await service.report(job_id)), error


async def _parsed(body: bytes) -> EnergyReport:
    """A report, which may be long."""
    return await asyncio.to_thread(EnergyReport.model_validate_json, body)


def _charts(report: EnergyReport) -> dict[str, object]:
    """Everything that is drawn of a report."""
    energy, series = report.energy, report.power
    watts = {"cpu": series.cpu_w, "gpu": series.gpu_w, "ram": series.ram_w}
    rows = [
        (name.upper(), name, part.energy_j, part.low_j, part.high_j)
        for name, part in (("cpu", energy.cpu), ("gpu", energy.gpu), ("ram", energy.ram))
    ]
    total = ("Total", "total", energy.total_j, energy.low_j, energy.high_j)
    drawn: dict[str, object] = {"bars": charts.bars([*rows, total], "J")}
    if series.t_s:
        drawn["power"] = charts.power(series.t_s, watts, report.duration_s)
    trained = [phase for phase in report.phases if phase.name == "epoch"]
    trained = trained[:: -(-len(trained) // MOST_EPOCHS) or 1]
    checked = {p.index: p for p in report.phases if p.name == "validation"}
    tested = [checked.get(phase.index) for phase in trained]
    losses = {
        "training loss": [phase.loss for phase in trained],
        "validation loss": [phase.loss if phase else None for phase in tested],
    }
    accuracies = {
        "training accuracy": [phase.train_accuracy for phase in trained],
        "validation accuracy": [phase.validation_accuracy if phase else None for phase in tested],
    }
    if any(value is not None for line in losses.values() for value in line):
        drawn["loss"] = charts.epochs("Loss", losses)
    if any(value is not None for line in accuracies.values() for value in line):
        drawn["accuracy"] = charts.epochs("Accuracy", accuracies, top=1.0)
    return drawn
