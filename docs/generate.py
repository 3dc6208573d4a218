"""The parts of docs/ that are made from the code: `make docs-reference` writes them.

Each stands between `<!-- NAME -->` and `<!-- end -->` in a page whose other text is by hand. With
`--check` nothing is written, and the exit code is 1 where a page is behind the code.
"""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from pydantic.fields import FieldInfo
from typer.main import get_command

import app.main
from app.accounting.assumptions import GENERATIONS, SPECPOWER, SPECPOWER_UNKNOWN
from app.accounting.trust import REASONS
from app.api.docs import problems
from app.api.metrics import Metrics
from app.cli.commands import cli
from app.cli.specs import spec_body
from app.client import Client
from app.client.tracked import TrackedJob
from app.measure import Measurement, measure
from app.settings import Settings
from app.storage.totals import Figures

FOLDER = Path(__file__).parent

# Defaults that depend on the host or on another setting, in words
COMPUTED = {
    "data_dir": "the user's data folder",
    "host_name": "the host's name",
    "host_lock": "in `/run/lock`, else in the temporary folder",
    "baseline_short_s": "`5`, or `TRAINWATT_BASELINE_WINDOW_S` where that is shorter",
}


def main() -> None:
    """Write every part, or with `--check` complain of the pages that are behind the code."""
    behind = []
    for where, makers in PARTS.items():
        page = FOLDER / where
        made = text = page.read_text()
        for make in makers:
            made = with_part(made, make.__name__, make())
        if made != text:
            behind.append(where)
            if "--check" not in sys.argv:
                page.write_text(made)
    if behind and "--check" in sys.argv:
        sys.exit(f"behind the code: {', '.join(behind)}; run `make docs-reference`")


def with_part(text: str, name: str, lines: Iterable[str]) -> str:
    """A page with its generated part as it is now.

    Raises:
        SystemExit: the page has no place for it.
    """
    begin, end = f"<!-- {name} -->\n", "<!-- end -->"
    before, mark, rest = text.partition(begin)
    _, closing, after = rest.partition(end)
    if not (mark and closing):
        sys.exit(f"expected a line <!-- {name} --> and one {end} after it, found none")
    return f"{before}{begin}\n" + "\n".join([*lines, "", end]) + after


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(cell.replace('|', ', ') for cell in cells)} |"


def settings() -> Iterator[str]:
    """A line a setting: variable, default, description."""
    yield from _table(
        ["variable", "default", "what it is"],
        (
            [f"`TRAINWATT_{name.upper()}`", _default(name, field), field.description or ""]
            for name, field in Settings.model_fields.items()
        ),
    )


def _default(name: str, field: FieldInfo) -> str:
    if field.default_factory is not None:
        return COMPUTED[name]
    if field.default in (None, ()):
        return "none"
    value = field.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def reasons() -> Iterator[str]:
    """A line a reason code: the best grade that it allows, what it means, and what to do."""
    yield from _table(
        ["code", "best grade", "what it means, and what to do"],
        ([f"`{code}`", reason.grade, reason.message] for code, reason in REASONS.items()),
    )


def metrics() -> Iterator[str]:
    """A line a metric of a service without jobs and hosts: every family has its help there."""
    nothing = Figures(unfinished={}, finished={}, hosts={})
    families = text_string_to_metric_families(Metrics().text(nothing).decode())
    own = (found for found in families if found.name.startswith("trainwatt_"))
    yield from _table(
        ["metric", "kind", "what it is"],
        (
            [f"`{found.name}`", found.type, found.documentation]
            for found in sorted(own, key=lambda found: found.name)
        ),
    )


def commands() -> Iterator[str]:
    """Every command with its options, those of a job spec once."""
    root: Any = get_command(cli)
    of_a_spec = set(inspect.signature(spec_body).parameters)
    found = list(_commands("trainwatt", root))
    spec = {path for path, command in found if of_a_spec <= {p.name for p in command.params}}
    submit = root.commands["submit"]
    yield "### Options that describe a job"
    yield ""
    yield f"Taken by {', '.join(f'`{path}`' for path, _ in found if path in spec)}."
    yield ""
    yield from _options(submit, [p for p in submit.params if p.name in of_a_spec])
    for path, command in found:
        yield ""
        yield f"### `{path}`"
        yield ""
        yield from inspect.cleandoc(command.help or "").splitlines()
        yield ""
        if path in spec:
            yield "Takes the options that describe a job, and these:"
            yield ""
        left_out = of_a_spec if path in spec else set()
        yield from _options(command, [p for p in command.params if p.name not in left_out])


def _commands(path: str, group: Any) -> Iterator[tuple[str, Any]]:
    """Every command that help shows, in its order, those of a group behind the group."""
    for name, command in group.commands.items():
        if not command.hidden:
            yield f"{path} {name}", command
            yield from _commands(f"{path} {name}", command) if hasattr(command, "commands") else ()


def _options(command: Any, params: Iterable[Any]) -> Iterator[str]:
    context = command.context_class(command)
    records = [
        record
        for param in params
        if not getattr(param, "hidden", False) and (record := param.get_help_record(context))
    ]
    rows = [[f"`{' '.join(used.split())}`", " ".join(told.split())] for used, told in records]
    yield from _table(["option", "what it is"], rows)


def calls() -> Iterator[str]:
    """Every call of the OpenAPI description: its parameters and its answers."""
    everywhere = {str(status) for status in problems()}
    for path, operations in app.main.app.openapi()["paths"].items():
        for method, operation in operations.items():
            yield f"### `{method.upper()} {path}`"
            yield ""
            yield operation["description"]
            yield ""
            if found := operation.get("parameters"):
                yield from _table(
                    ["parameter", "in", "values", "what it is"], map(_parameter, found)
                )
                yield ""
            rows = (
                [status, _body(answer), _said(answer)]
                for status, answer in sorted(operation["responses"].items())
                if status not in everywhere
            )
            yield from _table(["answer", "body", "when"], rows)
            yield ""


def _parameter(found: dict[str, Any]) -> list[str]:
    words = found.get("description", "")
    return [f"`{found['name']}`", found["in"], _values(found["schema"]), words]


def _values(schema: dict[str, Any]) -> str:
    """What a parameter may be, from its schema."""
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    (kind,) = kinds
    if "$ref" in kind:
        schemas = app.main.app.openapi()["components"]["schemas"]
        kind = schemas[kind["$ref"].rpartition("/")[2]]
    words = ", ".join(f"`{value}`" for value in kind.get("enum", ())) or kind.get("type", "")
    bounds = [
        f"{sign} {kind[name]:g}"
        for name, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("exclusiveMaximum", "<"),
        )
        if name in kind
    ]
    default = schema.get("default")
    told = [] if default is None else [f"default `{default}`"]
    return "; ".join([" ".join([words, " and ".join(bounds)]).strip(), *told])


def _body(answer: dict[str, Any]) -> str:
    return ", ".join(f"`{media}`" for media in answer.get("content", {})) or "none"


def _said(answer: dict[str, Any]) -> str:
    words: str = answer["description"]
    if words != "Successful Response":
        return words
    schemas = re.findall(r"'\$ref': '[^']*/(\w+)'", str(answer.get("content")))
    return f"`{schemas[0]}`" if schemas else "it is done"


def client() -> Iterator[str]:
    """Every call of the Python client."""
    yield from _methods(Client)


def tracked() -> Iterator[str]:
    """What a job that knows its client can do."""
    yield from _methods(TrackedJob)


def own_script() -> Iterator[str]:
    """What `measure` takes, as its docstring says it."""
    arguments = re.findall(r"(?m)^ {4}(\w+): (.*)$", inspect.getdoc(measure) or "")
    told = dict(arguments)
    rows = [
        [f"`{p.replace(annotation=inspect.Parameter.empty)}`", told[name]]
        for name, p in inspect.signature(measure).parameters.items()
    ]
    yield from _table(["argument", "what it is"], rows)


def measurement() -> Iterator[str]:
    """What can be called inside and after `with measure(…) as run`."""
    yield from _methods(Measurement)


def _methods(kind: type) -> Iterator[str]:
    """The public methods that a class itself defines."""
    rows = []
    for name, method in vars(kind).items():
        if inspect.isfunction(method) and not name.startswith(("_", "model_")):
            given = list(inspect.signature(method).parameters.values())[1:]
            bare = [p.replace(annotation=inspect.Parameter.empty) for p in given]
            first = (inspect.getdoc(method) or "").split("\n\n")[0]
            rows.append([f"`{name}{inspect.Signature(bare)}`", " ".join(first.split())])
    yield from _table(["call", "what it gives"], rows)


def generations() -> Iterator[str]:
    """SPECpower's watts a hardware thread, by the generation of the CPU."""
    everything = {**SPECPOWER, "every EPYC and Xeon (5th, 50th, 95th)": SPECPOWER_UNKNOWN}
    slugs = {label: f"`{slug}`" for slug, label in GENERATIONS.items()}
    yield from _table(
        ["generation", "`TRAINWATT_CPU_GENERATION`", "idle, W", "full load, W"],
        (
            [label, slugs.get(label, ""), _ends(row.idle_low_w, row.idle_w, row.idle_high_w)]
            + [_ends(row.full_low_w, row.full_w, row.full_high_w)]
            for label, row in everything.items()
        ),
    )


def _ends(*watts: float) -> str:
    return " / ".join(f"{w:.2f}" for w in dict.fromkeys(watts))


PARTS = {
    "reference/settings.md": (settings,),
    "reference/reasons.md": (reasons,),
    "reference/metrics.md": (metrics,),
    "reference/command-line.md": (commands,),
    "reference/http.md": (calls,),
    "reference/python.md": (client, tracked, own_script, measurement),
    "explanation/methods.md": (generations,),
}

if __name__ == "__main__":
    main()
