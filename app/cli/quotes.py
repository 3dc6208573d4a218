"""`trainwatt quote` and `trainwatt track-record`: what a job would cost, and how that has held."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from app.cli.specs import Body, checked
from app.cli.tables import table
from app.client import Client
from app.client.asks import quote_body
from app.client.models import parse
from app.domain.quotes import Quote, Track, TrackRecord
from app.words.quotes import excess, held
from app.words.units import per_cent

WAIT_S = 300.0  # that one call waits for a pilot

OpenClient = Callable[[], AbstractContextManager[Client]]
Show = Callable[[Callable[[Console], RenderableType]], None]
AsJson = Annotated[bool, typer.Option("--json", help="The API's own JSON, nothing else.")]


def quote_command(
    open_client: OpenClient,
    show_json: Callable[[Any], None],
    say: Callable[[str], None],
    complain: Callable[[str], None],
) -> Callable[..., None]:
    """The command that quotes.

    Args:
        open_client: speaks to the service that the settings name.
        show_json: puts JSON on standard output.
        say: puts a line there.
        complain: puts a sentence on standard error.
    """

    def quote(
        body: Body,
        *,
        on_host: Annotated[
            str | None, typer.Option(metavar="NAME", help="Where (default: where it is cheapest).")
        ] = None,
        pilot: Annotated[
            bool, typer.Option("--pilot", help="Run a few steps where too few jobs are like it.")
        ] = False,
        as_json: AsJson = False,
    ) -> None:
        """Say what a training would cost, with 90 % intervals, without running it.

        From 3 runs of the same training on the host, 10 jobs like it, or a pilot. Exits 1 where
        that is not known.
        """
        spec = checked(body)
        asked = quote_body(body, on_host, pilot=pilot)
        wait_s = WAIT_S if pilot else None
        with open_client() as client:
            while True:
                data = client.call(
                    "POST", "/v1/quotes", body=asked, params={"wait": wait_s}, longer_s=wait_s or 0
                )
                found = parse(Quote, data)
                if not (pilot and found.pending):
                    break
        if as_json:
            show_json(data)
        else:
            say(found.sentence)
        if over := excess(spec.limits, found):
            complain(over[1])
        if found.basis == "none":
            raise typer.Exit(1)

    return quote


def track_command(
    open_client: OpenClient,
    show: Show,
    show_json: Callable[[Any], None],
    say: Callable[[str], None],
) -> Callable[..., None]:
    """The command that shows the track record; `show` puts a table on standard output."""

    def track_record(as_json: AsJson = False) -> None:
        """Say how far quotes were off (median), and how many held, by host and family."""
        with open_client() as client:
            data = client.call("GET", "/v1/quotes/track-record")
        found = parse(TrackRecord, data)
        if as_json:
            show_json(data)
        elif found.overall is None:
            say(held(found))
        else:
            show(lambda _: _tracks(found))
            say(held(found))

    return track_record


def _tracks(found: TrackRecord) -> Table:
    made = table("Host", "Model", "Jobs", "Energy off", "held", "Time off", "held")
    for item in found.items:
        made.add_row(*map(Text, _cells(item)))
    return made


def _cells(item: Track) -> tuple[str, ...]:
    return (
        item.host or "",
        item.model_type or "",
        str(item.jobs),
        per_cent(item.energy_error_median),
        per_cent(item.energy_coverage),
        per_cent(item.duration_error_median),
        per_cent(item.duration_coverage),
    )
