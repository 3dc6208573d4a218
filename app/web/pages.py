"""From a template to an answer: the environment of the templates, and the headers of every page."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from app import __version__
from app.words import experiments, hosts, jobs, report, units

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def page(name: str, *, status: int = 200, **given: Any) -> HTMLResponse:
    """A page of a template, with what it shows; everything in it is escaped."""
    return HTMLResponse(render(name, **given), status_code=status, headers=HEADERS)


def render(name: str, **given: Any) -> str:
    """The text of a template."""
    return _environment().get_template(f"{name}.html").render(given)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("app.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {**_filters(), "coded": _coded}
    made.globals |= {"words": report, "named": jobs.named, "NONE": units.NONE}
    made.globals["version"] = __version__
    return made


def _filters() -> Mapping[str, Any]:
    return {
        "quantity": units.quantity,
        "interval": units.interval,
        "per_cent": units.per_cent,
        "significant": units.significant,
        "duration": units.duration,
        "says": jobs.says,
        "left": jobs.left,
        "model": jobs.model,
        "dataset": jobs.dataset,
        "ago": jobs.ago,
        "moment": jobs.moment,
        "training": jobs.training,
        "share": jobs.share,
        "standing": experiments.standing,
        "reads": hosts.reads,
        "idle": hosts.idle,
    }


def _coded(text: str) -> Markup:
    """A sentence whose `words in backticks` are code; everything in it is escaped."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts)
    )


@cache
def asset(name: str) -> bytes | None:
    """A file of the folder `static`; null where there is none of this name."""
    folder = files("app.web") / "static"
    return next((one.read_bytes() for one in folder.iterdir() if one.name == name), None)
