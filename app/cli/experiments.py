"""`trainwatt experiment`: run one from a file with a live table; list, show and cancel them."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from app.cli import INTERRUPTED
from app.cli.tables import table
from app.client import Client, ExperimentReport
from app.client.asks import experiment_path
from app.client.models import as_experiment, parse
from app.domain.errors import StateError, UnavailableError, UsageError
from app.domain.experiments import Experiment, Spread, VariantResult
from app.words.experiments import standing
from app.words.jobs import ago
from app.words.units import NONE, duration, interval, per_cent, quantity

Show = Callable[[Callable[[Console], RenderableType]], None]

POLL_S = 1.0
PATIENCE_S = 15.0  # how long a service that starts again may be away

AsJson = Annotated[bool, typer.Option("--json", help="The API's own JSON, nothing else.")]
Force = Annotated[
    bool,
    typer.Option("--force", help="Even where jobs are expected to exceed a limit that they have."),
]
Name = Annotated[str, typer.Argument(metavar="ID", help="The experiment's id.")]
SpecFile = Annotated[
    str,
    typer.Argument(metavar="FILE", help="YAML or JSON as POST /v1/experiments takes; -: stdin."),
]


def commands(
    open_client: Callable[[], AbstractContextManager[Client]],
    show: Show,
    show_json: Callable[[Any], None],
    say: Callable[[str], None],
    complain: Callable[[str], None],
) -> typer.Typer:
    """The commands of the group.

    Args:
        open_client: speaks to the service that the settings name.
        show: puts a table on standard output.
        show_json: puts JSON there.
        say: puts a line there.
        complain: puts a sentence on standard error.
    """
    group = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

    @group.callback()
    def experiment() -> None:
        """Compare variants of a training by repeated runs in turn."""

    @group.command()
    def run(file: SpecFile, force: Force = False, as_json: AsJson = False) -> None:
        """Run an experiment and show what comes of it; Ctrl-C cancels it."""
        spec = _read(file)
        with open_client() as client:
            made = client.create_experiment(spec, force=force)
            complain(f"experiment {made.id}: {sum(made.jobs.values())} jobs")
            try:
                found = _follow(client, made.id)
            except KeyboardInterrupt:
                complain("interrupted: the experiment is cancelled")
                _cancel(client, made.id)
                raise typer.Exit(INTERRUPTED) from None
            if as_json:
                show_json(client.call("GET", experiment_path(found.id)))
            else:
                show(lambda _: shown(found))
        if found.result.best is None:
            raise typer.Exit(1)

    @group.command("list")
    def list_experiments(as_json: AsJson = False) -> None:
        """List experiments, newest first."""
        with open_client() as client:
            data = client.call("GET", "/v1/experiments")
        found = [as_experiment(item) for item in data["items"]]
        if as_json:
            show_json(data)
        elif found:
            show(lambda _: listed(found))
        else:
            say("No experiments: run one with `trainwatt experiment run FILE`.")

    @group.command("show")
    def show_one(name: Name, as_json: AsJson = False) -> None:
        """Show an experiment with its result so far."""
        with open_client() as client:
            data = client.call("GET", experiment_path(name))
        if as_json:
            show_json(data)
        else:
            show(lambda _: shown(parse(ExperimentReport, data)))

    @group.command()
    def cancel(name: Name, as_json: AsJson = False) -> None:
        """Cancel an experiment: its waiting jobs at once, the running one in moments."""
        with open_client() as client:
            data = client.call("POST", f"{experiment_path(name)}/cancel")
        if as_json:
            show_json(data)
        else:
            say(f"The experiment {name} is cancelled.")

    return group


def _read(name: str) -> dict[str, Any]:
    """The experiment that a file holds; every JSON file is YAML too.

    Raises:
        UsageError: it cannot be read, or is not an object in YAML.
    """
    import yaml

    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        found = yaml.safe_load(text)
        json.dumps(found)
    except OSError as error:
        raise UsageError(f"{name} cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, TypeError, ValueError) as error:
        told = " ".join(str(error).split())[:200]
        raise UsageError(f"{name}: expected an experiment in YAML, received {told}") from error
    if not isinstance(found, dict):
        raise UsageError(
            f"{name}: expected fields as base and vary, received {type(found).__name__}"
        )
    return found


def _follow(client: Client, name: str) -> ExperimentReport:
    """Show the table on a terminal, else a line on each change, until it has ended."""
    with _display() as told:
        away_s = None
        while True:
            try:
                found = client.experiment(name)
                away_s = None
            except UnavailableError:
                away_s = away_s or time.monotonic()
                if time.monotonic() - away_s > PATIENCE_S:
                    raise
            else:
                told(found)
                if found.ended is not None and not found.jobs.get("running"):
                    return found
            time.sleep(POLL_S)


@contextmanager
def _display() -> Iterator[Callable[[ExperimentReport], None]]:
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        with Live(console=console, transient=True, auto_refresh=False) as live:
            yield lambda found: live.update(shown(found), refresh=True)
        return
    said = ""

    def line(found: ExperimentReport) -> None:
        nonlocal said
        if (now := standing(found)) != said:
            said = now
            console.print(now, markup=False, soft_wrap=True)

    yield line


def _cancel(client: Client, name: str) -> None:
    try:
        client.cancel_experiment(name)
    except StateError:
        return  # it had ended


def shown(found: ExperimentReport) -> Group:
    """What it says, where it stands, and a line a variant."""
    made = table("Variant", "Runs", "Energy", "Accuracy", "Duration", "")
    for variant in found.result.variants:
        made.add_row(*map(Text, _cells(variant, found)))
    first, *rest = found.result.sentences
    title = f"{found.name or found.id}: {standing(found)}"
    return Group(Text(first), *(Text(f"- {said}") for said in rest), "", Text(title), made)


def _cells(variant: VariantResult, found: ExperimentReport) -> tuple[str, ...]:
    failed = f" ({variant.failed} failed)" if variant.failed else ""
    marks = []
    if variant.number == found.result.best:
        marks.append("best")
    if variant.dominated_by is not None:
        marks.append("beaten in both")
    if variant.meets_constraint is False:
        marks.append("below the constraint")
    accuracy, spent = variant.test_accuracy, variant.duration_s
    return (
        variant.label,
        f"{variant.succeeded}{failed}",
        _energy(variant.energy_j),
        per_cent(accuracy.mean) if accuracy else NONE,
        duration(spent.mean) if spent else NONE,
        ", ".join(marks),
    )


def _energy(spread: Spread | None) -> str:
    if spread is None:
        return NONE
    if spread.low is None or spread.high is None:
        return quantity(spread.mean, "J")
    ends = interval(max(0.0, spread.low), spread.high, "J", of=spread.mean)
    return f"{quantity(spread.mean, 'J')} ({ends})"


def listed(items: list[Experiment]) -> Table:
    """A line an experiment."""
    made = table("Experiment", "Name", "Variants", "State", "Created")
    made.columns[0].no_wrap = True
    for item in items:
        made.add_row(
            item.id,
            Text(item.name or NONE),
            str(len(item.variants)),
            standing(item),
            ago(item.created_at),
        )
    return made
