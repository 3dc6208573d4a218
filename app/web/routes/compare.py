"""Jobs side by side: what they cost, how they differ, and what stands between them."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.routes.requests import Serving
from app.domain.errors import FieldError, SpecError
from app.domain.reports import EnergyReport
from app.service import Service
from app.web.pages import page
from app.words.compare import Compared, caveats, differences, figures, verdict

LEAST, MOST = 2, 8

router = APIRouter()


@router.get("/compare")
async def compare(request: Request, service: Serving) -> Response:
    """The jobs that the address names, the first of them as the one that others are set against."""
    ids = list(dict.fromkeys(request.query_params.getlist("job")))
    if not LEAST <= len(ids) <= MOST:
        expected = f"{LEAST} to {MOST} jobs: select them in the list of jobs"
        raise SpecError(FieldError(field="job", expected=expected, received=ids))
    compared = []
    for name, job_id in zip("ABCDEFGH", ids, strict=False):
        job = await service.get(job_id)
        report = EnergyReport.model_validate_json(await service.report(job_id))
        compared.append(Compared(name=name, job=job, report=report))
    return page(
        "compare",
        here="",
        compared=compared,
        sentences=[await _sentence(service, compared[0], other) for other in compared[1:]],
        figures=figures(compared),
        differences=differences(compared),
        caveats=caveats([one.report for one in compared]),
    )


async def _sentence(service: Service, one: Compared, other: Compared) -> str:
    found = await service.compare_sides((one.report,), (other.report,))
    return verdict(found, one.name, other.name)
