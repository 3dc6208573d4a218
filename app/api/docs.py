"""The API's own documentation: the OpenAPI description, and a page for it from our own assets."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.responses import FileResponse, HTMLResponse, Response

from app.api.auth import NO_KEY, OPEN_PATHS, UNPROTECTED
from app.api.guard import FOREIGN_HOST
from app.api.problems import (
    HTTP_KINDS,
    INTERNAL,
    KINDS,
    MEDIA_TYPE,
    TYPE_PREFIX,
    Kind,
    Problem,
)
from app.domain.errors import (
    IdempotencyError,
    NotFoundError,
    OverBudgetError,
    QueueFullError,
    SpecError,
    StateError,
    UnavailableError,
)
from app.domain.events import JobEvent
from app.domain.posted import PostedReport
from app.domain.quotes import QuoteRequest

ASSETS = {  # of swagger-ui, as the package fastapi-swagger carries it
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>trainwatt API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<script src="/docs/swagger-ui-bundle.js" defer></script>
<script src="/docs/start.js" defer></script>
</head>
<body><div id="swagger-ui"></div></body>
</html>
"""

START = """SwaggerUIBundle({
  url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null
});
"""

PROBLEMS: dict[int, tuple[Kind, str]] = {
    400: (FOREIGN_HOST, "The request is for a name that this service does not answer to"),
    401: (NO_KEY, "The service asks for a key, and none or another came"),
    403: (UNPROTECTED, "The service has no key, and the connection is not from this machine"),
    404: (KINDS[NotFoundError], "There is no such thing"),
    406: (HTTP_KINDS[406], "It cannot be had in this format"),
    409: (KINDS[StateError], "The job's status, named in `job_status`, does not allow this"),
    413: (HTTP_KINDS[413], "The body is longer than this call takes: 1 MiB, of a report 16 MiB"),
    415: (HTTP_KINDS[415], "The body is not sent as application/json"),
    422: (KINDS[SpecError], "What was sent does not hold; `errors` names each field"),
    429: (KINDS[QueueFullError], "The queue is full; `Retry-After` says when to try again"),
    500: (INTERNAL, "The fault is here; the log has it under `request_id`"),
    503: (KINDS[UnavailableError], "The database or the worker does not answer"),
}

router = APIRouter(include_in_schema=False)


CONFLICT = (
    KINDS[IdempotencyError],
    "The `Idempotency-Key` came with another spec before; or, as `over-budget`, the job's `quote` "
    "exceeds a limit that it has",
)
OVER_BUDGET = (
    KINDS[OverBudgetError],
    "The jobs of a variant are expected to exceed a limit that they have; `quote` says by what",
)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: these errors, and those that every route has."""
    everywhere = {400, 401, 403, 422, 500}
    return {s: documented(*PROBLEMS[s]) for s in sorted({*everywhere, *statuses})}


def documented(kind: Kind, words: str) -> dict[str, Any]:
    """One of the `responses` of a route."""
    status = kind.status
    example: dict[str, Any] = {
        "type": TYPE_PREFIX + kind.slug,
        "title": kind.title,
        "status": status,
        "detail": f"{words}.",
        "request_id": "9f6c5a1e0d3b4c7f8a2e1d0c9b8a7f6e",
    }
    if kind is KINDS[StateError]:
        example["job_status"] = "succeeded"
    if status == 422:
        wrong = {"field": "epochs", "expected": "an integer ≥ 1 and ≤ 10000", "received": 0}
        example["errors"] = [wrong]
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": words, "content": {MEDIA_TYPE: {"schema": schema, "example": example}}}


def json_body(model: type[BaseModel], examples: dict[str, Any]) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads its JSON body itself."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    named = {name: {"value": value} for name, value in examples.items()}
    content = {"application/json": {"schema": schema} | ({"examples": named} if named else {})}
    return {"requestBody": {"required": True, "content": content}}


def query(model: type[BaseModel]) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads its query parameters itself as this model."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    parameters = [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": place,
        }
        | ({"description": place["description"]} if "description" in place else {})
        for name, place in schema["properties"].items()
    ]
    return {"parameters": parameters}


def header(name: str, schema: dict[str, Any], words: str) -> dict[str, Any]:
    """One of the `parameters` of a route that reads this header itself."""
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": words}


def describe(app: FastAPI) -> None:
    """Let the app make its OpenAPI description once, with the schemas that routes only refer to."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_problems(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    summary=app.summary,
                    description=app.description,
                    routes=app.routes,
                    separate_input_output_schemas=False,
                )
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _with_problems(description: dict[str, Any]) -> dict[str, Any]:
    schemas = description["components"]["schemas"]
    for model in (Problem, JobEvent, PostedReport, QuoteRequest):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= {**schema.pop("$defs"), model.__name__: schema}
    bearer = {"type": "http", "scheme": "bearer", "description": "needed off loopback alone"}
    description["components"]["securitySchemes"] = {"key": bearer}
    for path, operations in description["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path in OPEN_PATHS else [{"key": []}, {}]
    return description


@router.get("/docs")
async def page() -> Response:
    """The documentation for people."""
    return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})


@router.get("/docs/start.js")
async def start() -> Response:
    """The one line of script that starts the documentation."""
    return Response(START, media_type="text/javascript")


@router.get("/docs/{name}")
async def asset(name: str) -> Response:
    """A file of swagger-ui."""
    if name not in ASSETS:
        raise NotFoundError("There is no such file of the documentation.")
    folder = Path(str(files("fastapi_swagger"))) / "resources"
    return FileResponse(
        folder / name, media_type=ASSETS[name], headers={"Cache-Control": "max-age=3600"}
    )
