"""The form of a job, what the job would be, and its submission."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from app.api.routes.requests import Serving
from app.domain.errors import FieldError, OverBudgetError, QueueFullError, SpecError
from app.domain.jobs import Job
from app.domain.quotes import Quote
from app.domain.specs import JobSpec, WorkloadFacts
from app.service import Service
from app.web.forms import filled, form
from app.web.pages import page
from app.web.snippets import snippets
from app.web.spec_form import BY_HAND, GROUPS, spec_of
from app.words.quotes import excess

DEFAULTS = {"model_type": "cnn", "size": "base", "epochs": "3", "dataset.name": "mnist5k"}
OWN_MODEL = "keras"  # has an architecture, which no field of a form holds
LOOK = "look"  # the button that shows and does not submit
FORCE = "force"  # the button that submits what is expected to exceed its limits

router = APIRouter()


@router.get("/submit")
async def empty(request: Request, service: Serving) -> Response:
    """The form, with what its address says filled in."""
    given = {**DEFAULTS, **filled(request.query_params.multi_items())}
    return await _form(request, service, given)


@router.post("/submit")
async def submit(request: Request, service: Serving) -> Response:
    """Submit the job and go to its page; or show what it would be, or what does not hold."""
    given = await form(request)
    look, force = given.pop(LOOK, None), bool(given.pop(FORCE, None))
    try:
        spec = spec_of(given)
        if look:
            facts, quote = await service.check(spec), await service.quote(spec)
            return await _form(request, service, given, spec=spec, facts=facts, quote=quote)
        job: Job = await service.submit(spec, force=force)
    except OverBudgetError as error:
        over = FieldError(field=error.limit.field, expected=str(error), received=None)
        return await _form(request, service, given, errors=(over,), status=409, force=FORCE)
    except SpecError as error:
        return await _form(request, service, given, errors=error.errors)
    except QueueFullError as error:
        full = FieldError(field="queue", expected=str(error), received=None)
        return await _form(request, service, given, errors=(full,), status=429)
    return RedirectResponse(f"/jobs/{job.id}", status_code=303)


async def _form(
    request: Request,
    service: Service,
    given: dict[str, str],
    *,
    spec: JobSpec | None = None,
    facts: WorkloadFacts | None = None,
    errors: tuple[FieldError, ...] = (),
    status: int | None = None,
    quote: Quote | None = None,
    force: str | None = None,
) -> Response:
    url = str(request.base_url).rstrip("/")
    listing: dict[str, Any] = await service.workloads()
    return page(
        "submit",
        status=status or (422 if errors else 200),
        here="/submit",
        given=given,
        models=[model for model in listing["model_types"] if model["name"] != OWN_MODEL],
        datasets=listing["datasets"],
        groups=GROUPS,
        by_hand=BY_HAND,
        facts=facts,
        quote=quote.sentence if quote else None,
        over=excess(spec.limits, quote) if spec and quote else None,
        force=force,
        ways=snippets(spec, url, key=request.app.state.keyed) if spec else None,
        errors=errors,
        named={error.field for error in errors},
    )
