"""The commands of `trainwatt`, their exit codes, and errors as one readable sentence each."""

import io
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

from app import __version__
from app.cli import INTERRUPTED, check, datasets, experiments, quotes, tables
from app.cli.report import render
from app.cli.specs import Body, checked, takes_spec
from app.cli.watch import follow, stuck
from app.client import Client
from app.client.address import key_header
from app.client.asks import forced, job_path
from app.client.models import as_job, parse
from app.domain.errors import (
    QueueFullError,
    SpecError,
    StateError,
    TrainwattError,
    UnavailableError,
    UsageError,
)
from app.domain.hosts import Host
from app.domain.jobs import Job, JobStatus
from app.domain.reports import EnergyReport
from app.exports.formats import FORMATS
from app.keys import KEY_FILE, kept_key, needed_key
from app.ownership import owner
from app.settings import Settings, load

OK, JOB_FAILED, WRONG_USE, UNREACHABLE = 0, 1, 2, 3
NOT_DONE = 1  # as a job that failed: nothing was wrong with the command
PIPE_CLOSED = 128 + 13  # as a shell reports SIGPIPE
PAGE, LINE = 80, 400  # columns where there is no terminal: to read, and to search line by line

cli = typer.Typer(
    name="trainwatt",
    help="What a training run costs in energy, with an interval, and how sure that figure is.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

AsJson = Annotated[bool, typer.Option("--json", help="The API's own JSON, nothing else.")]
Force = Annotated[
    bool,
    typer.Option("--force", help="Even where it is expected to exceed a limit that it has."),
]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]


def _folder(text: str) -> Path:
    if not text:
        raise typer.BadParameter("expected a folder, received an empty path")
    return Path(text).expanduser().absolute()


DataDir = Annotated[
    Any,
    typer.Option(
        parser=_folder, metavar="FOLDER", help="Where the data live (TRAINWATT_DATA_DIR)."
    ),
]


def main() -> int:
    """Run one command; its exit code: 0, 1 the job failed, 2 wrong use, 3 nothing answers.

    `check` also has 1 where more energy is used than allowed, and 4 where it cannot tell.
    """
    try:
        if sys.stdout is None:
            raise UsageError("standard output is closed: send it to a file, or to /dev/null")
        cli()
    except SpecError as error:
        for field in error.errors:
            received = json.dumps(field.received, ensure_ascii=False)
            _complain(f"{field.field}: expected {field.expected}, received {received}")
        return WRONG_USE
    except (UnavailableError, QueueFullError) as error:
        _complain(str(error))
        return UNREACHABLE
    except TrainwattError as error:
        _complain(str(error))
        return WRONG_USE
    return OK


def _say_version(wanted: bool) -> None:
    if wanted:
        _out(f"trainwatt {__version__}")
        raise typer.Exit


@cli.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_say_version, help="Print the version."),
    ] = False,
) -> None:
    """What a training run costs in energy, with an interval, and how sure that figure is."""


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="0: any free one.")] = None,
    data_dir: DataDir = None,
    throwaway: Annotated[bool, typer.Option("--throwaway", hidden=True)] = False,
    as_json: AsJson = False,
) -> None:
    """Run API, worker and database until Ctrl-C."""
    from app import supervisor

    settings = load(host=host, port=port, data_dir=data_dir)
    known = kept_key(settings.data_dir)

    def on_ready(ready: supervisor.Ready) -> None:
        if as_json:
            _print_json({"url": ready.url, "data_dir": str(ready.data_dir)}, indent=None)
            return
        _out(f"trainwatt is ready at {ready.url}")
        _say_key(settings, ready.url, known)
        _out(f"Data and logs are in {ready.data_dir}")
        if ready.cluster_dir and not ready.cluster_dir.is_relative_to(ready.data_dir):
            _out(f"The database is in {ready.cluster_dir}")

    supervisor.serve(settings, on_ready, throwaway=throwaway)


@cli.command()
def api(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="0: any free one.")] = None,
    fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the API alone, on TRAINWATT_DATABASE_URL or a database of its own."""
    from app import bootstrap, logs, supervisor
    from app.cli.api import run as run_api

    settings = load(host=host, port=port)
    listener = socket.socket(fileno=fd) if fd is not None else supervisor.listen(settings)
    here = settings.model_copy(update={"url": supervisor.url_of(settings.host, listener)})
    logs.configure("api", here)
    known = kept_key(here.data_dir)
    app = bootstrap.make_api(here)
    if not settings.supervised:
        _out(f"The API answers at {here.url}")
        _say_key(here, here.url, known)
    run_api(app, listener)


@cli.command()
def worker(
    healthcheck: Annotated[
        bool, typer.Option("--healthcheck", help="Exit 0 if this host's worker is alive.")
    ] = False,
    drain: Annotated[
        bool,
        typer.Option(
            "--drain", help="SIGTERM finishes the running job first; a second one puts it back."
        ),
    ] = False,
) -> None:
    """Run one measuring worker on TRAINWATT_DATABASE_URL."""
    if healthcheck:
        _check_worker()
        return
    if drain:
        os.environ["TRAINWATT_DRAIN"] = "1"
    sys.stdout.flush()  # a process of its own module: the fork server imports `__main__` again
    os.execv(sys.executable, [sys.executable, "-P", "-m", "app.worker"])


@cli.command()
@takes_spec
def submit(
    body: Body,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the job to its end.")] = False,
    force: Force = False,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Sent again, it gives the same job.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Queue one training."""
    checked(body)
    with _client() as client:
        headers = key_header(idempotency_key)
        data = client.call("POST", "/v1/jobs", body=body, headers=headers, params=forced(force))
        if wait:
            _watch(client, data["id"], as_json=as_json)
        _show_job(data, as_json=as_json)


@cli.command()
@takes_spec
def run(
    body: Body,
    data_dir: DataDir = None,
    throwaway: Annotated[
        bool, typer.Option("--throwaway", help="In a new data directory, deleted at the end.")
    ] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Run one training without a running service, and print its energy report."""
    from app.cli import own

    if throwaway and data_dir:
        raise UsageError("--throwaway makes a data directory of its own: leave --data-dir out")
    labels = own.check(body).placement.labels
    settings = load(data_dir=data_dir)
    console = _progress_console(as_json=as_json)
    try:
        with (
            own.service(
                settings, throwaway=throwaway, say=_complain, console=console, labels=labels
            ) as here,
            Client(here.url, _key(settings, here.url)) as client,
        ):
            job = own.run(here, client, body, console, _complain, force=force)
            data = client.call("GET", f"{job_path(job.id)}/report")
    except KeyboardInterrupt:
        _complain("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    _show_report(data, job, as_json=as_json)
    raise typer.Exit(_code(job))


@cli.command("list")
def list_jobs(  # noqa: PLR0917 -- options by name
    status: Annotated[JobStatus | None, typer.Option(help="Only jobs of this status.")] = None,
    model_type: Annotated[str | None, typer.Option(help="Only this model type.")] = None,
    host: Annotated[str | None, typer.Option(help="Only this host.")] = None,
    tag: Annotated[
        str | None, typer.Option(metavar="KEY=VALUE", help="Only jobs with this tag.")
    ] = None,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Of the page before.")] = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    params = {
        "status": status.value if status else None,
        "model_type": model_type,
        "host": host,
        "tag": tag and tag.replace("=", ":", 1),
        "limit": limit,
        "cursor": cursor,
    }
    with _client() as client:
        page = client.call("GET", "/v1/jobs", params=params)
    if as_json:
        _print_json(page)
        return
    if not page["items"]:
        _out("No jobs.")
        return
    _print(lambda console: tables.jobs(map(as_job, page["items"]), console), LINE)
    if page.get("next_cursor"):
        _out(f"More: --cursor {page['next_cursor']}")


@cli.command()
def show(job_id: JobId, as_json: AsJson = False) -> None:
    """Show one job."""
    with _client() as client:
        data = client.call("GET", job_path(job_id))
        _show_job(data, as_json=as_json, stuck="" if as_json else stuck(client, as_job(data)))


@cli.command()
def watch(job_id: JobId, as_json: AsJson = False) -> None:
    """Follow a job to its end; Ctrl-C stops watching, not the job."""
    with _client() as client:
        _watch(client, job_id, as_json=as_json)


@cli.command()
def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """Cancel a job."""
    with _client() as client:
        try:
            data = client.call("POST", f"{job_path(job_id)}/cancel")
        except StateError as error:
            raise UsageError(f"job {job_id} has already {_past(error.status)}") from error
    if as_json:
        _print_json(data)
        return
    job = as_job(data)
    _out(job.status.value if job.status.final else f"{job.status.value}, asked to stop")


@cli.command()
def report(
    job_id: JobId,
    *,
    assumptions: Annotated[
        str | None, typer.Option(metavar="NAME", help="Estimate with this set of assumptions.")
    ] = None,
    country: Annotated[
        str | None, typer.Option(metavar="CODE", help="Price in this country, as FRA.")
    ] = None,
    region: Annotated[
        str | None, typer.Option(metavar="NAME", help="… in this region of it, or of the report's.")
    ] = None,
    intensity: Annotated[
        float | None, typer.Option(metavar="G", help="… at this many g CO2e per kWh.")
    ] = None,
    pue: Annotated[float | None, typer.Option(help="… with this PUE, 1 or more.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the energy report of a finished job, or evaluate its readings again."""
    params = {
        "assumptions": assumptions,
        "country_iso_code": country,
        "region": region,
        "intensity_g_per_kwh": intensity,
        "pue": pue,
    }
    with _client() as client:
        data = client.call("GET", f"{job_path(job_id)}/report", params=params)
        job = client.get(job_id)
    _show_report(data, job, as_json=as_json)


@cli.command()
def compare(
    a: Annotated[
        str, typer.Argument(metavar="A", help="A job's id, or EXPERIMENT:NUMBER, a variant's.")
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="The other one's.")],
    as_json: AsJson = False,
) -> None:
    """Say which of two used less energy, and whether that survives other assumptions.

    A variant stands for all of its runs that succeeded; variants count from 0.
    """
    with _client() as client:
        found = client.compare(a, b)
    if as_json:
        _print_json(found.model_dump(mode="json"))
    else:
        _print(lambda _: tables.comparison(found))


@cli.command()
def export(
    job_id: JobId,
    *,
    name: Annotated[
        str,
        typer.Option("--format", metavar="NAME", help="codecarbon, model-card, sci or statement."),
    ],
    country: Annotated[
        str | None, typer.Option(metavar="CODE", help="Price in this country, as FRA.")
    ] = None,
    pue: Annotated[float | None, typer.Option(help="… with this PUE, 1 or more.")] = None,
    unit: Annotated[
        str | None, typer.Option(help="Of sci: the functional unit, training, epoch or sample.")
    ] = None,
    embodied_g: Annotated[
        float | None, typer.Option(help="Of sci: grams of CO2e of the hardware's making.")
    ] = None,
) -> None:
    """Print the report of a finished job in another one's format."""
    if name not in FORMATS:
        raise UsageError(f"--format: expected one of {', '.join(FORMATS)}, received {name!r}")
    with _client() as client:
        text = client.export(
            job_id, name, country_iso_code=country, pue=pue, unit=unit, embodied_g=embodied_g
        )
    sys.stdout.write(text)


@cli.command()
def hosts(as_json: AsJson = False) -> None:
    """List the hosts that measure."""
    with _client() as client:
        data = client.call("GET", "/v1/hosts")
    if as_json:
        _print_json(data)
    else:
        _print(lambda _: tables.hosts(parse(Host, item) for item in data["items"]), LINE)


@cli.command()
def calibrate(
    window: Annotated[
        float | None,
        typer.Option(min=1, max=3600, metavar="S", help="Seconds (TRAINWATT_BASELINE_WINDOW_S)."),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Measure this host's idle power now, while no job runs, for the reports that follow."""
    from app.cli import calibrate as calibration

    settings = load(data_dir=data_dir)
    window_s = settings.baseline_window_s if window is None else window
    try:
        idle = calibration.calibrate(settings, window_s, _complain)
    except calibration.UncalibratedError as error:
        _complain(str(error))
        raise typer.Exit(NOT_DONE) from None
    except KeyboardInterrupt:
        _complain("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        _print_json(idle.model_dump(mode="json"))
    else:
        _print(lambda _: tables.idle_power(idle))


@cli.command()
def workloads(as_json: AsJson = False) -> None:
    """List what can be trained.

    Every model type with its sizes, as --model-type and --size take them, and the data sets.
    """
    with _client() as client:
        data = client.call("GET", "/v1/workloads")
    if as_json:
        _print_json(data)
    else:
        _print(lambda _: tables.workloads(data))


@contextmanager
def _client() -> Iterator[Client]:
    settings = load()
    with Client(settings.url, _key(settings, settings.url)) as client:
        yield client


def _key(settings: Settings, url: str) -> str | None:
    """The key to send: the given one, or the one that the service of our own data directory made.

    It goes to no other service, whatever answers at the address.
    """
    here = owner(settings.data_dir) if settings.api_key is None else None
    mine = here is not None and here.url == url.rstrip("/")
    return kept_key(settings.data_dir) if mine else settings.api_key


def _say_key(settings: Settings, url: str, known: str | None) -> None:
    """A made key is said once, by the start that made it; later ones say where it lies."""
    key = needed_key(settings)
    if key is None or settings.api_key is not None:
        return
    if known == key:
        _out(f"Requests need the key in {settings.data_dir / KEY_FILE}")
        return
    _out(f"Key: {key}")
    _out(f"In a browser: {url}/docs?key={key}")
    _out("For programs: export TRAINWATT_API_KEY, or send `Authorization: Bearer KEY`")


def _check_worker() -> None:
    """Exit 3 with a sentence unless this host's worker has given a sign of life lately."""
    from app.storage.alive import trouble

    settings = load()
    url = settings.given_database_url()
    if reason := trouble(url, settings.host_name, lease_s=settings.lease_s):
        raise UnavailableError(reason)


def _watch(client: Client, job_id: str, *, as_json: bool) -> None:
    """Follow a job and exit with what became of it."""
    try:
        job = follow(client, job_id, _progress_console(as_json=as_json))
    except KeyboardInterrupt:
        _complain(f"stopped watching; the job goes on (trainwatt watch {job_id})")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        _print_json(job.public())
    else:
        _out(f"trainwatt report {job_id} shows its energy.")
    raise typer.Exit(_code(job))


def _code(job: Job) -> int:
    return OK if job.status is JobStatus.SUCCEEDED else JOB_FAILED


def _past(status: str) -> str:
    """A final status as what the job has done."""
    words = status.replace("_", " ")
    return words if status in {"succeeded", "failed"} else f"ended ({words})"


def _show_job(data: dict[str, Any], *, as_json: bool, stuck: str = "") -> None:
    if as_json:
        _print_json(data)
    else:
        _print(lambda _: tables.job(as_job(data), stuck=stuck))


def _show_report(data: dict[str, Any], job: Job, *, as_json: bool) -> None:
    if as_json:
        _print_json(data)
    else:
        with _console() as console:
            why = job.error.message if job.error else None
            render(parse(EnergyReport, data), console, why=why)


@contextmanager
def _console(columns: int = PAGE) -> Iterator[Console]:
    """Standard output for people: as wide as the terminal, or so many columns elsewhere.

    Elsewhere no line ends in the blanks that fill up a table.
    """
    if sys.stdout.isatty():
        with _writing():
            yield Console(highlight=False)
        return
    held = io.StringIO()
    yield Console(file=held, highlight=False, width=columns)
    _out("\n".join(line.rstrip() for line in held.getvalue().removesuffix("\n").split("\n")))


def _print(what: Callable[[Console], RenderableType], columns: int = PAGE) -> None:
    with _console(columns) as console:
        console.print(what(console))


@contextmanager
def _writing() -> Iterator[None]:
    """Standard output that nobody reads any more ends quietly, as SIGPIPE would; else a sentence.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still held
        if isinstance(error, BrokenPipeError):
            raise typer.Exit(PIPE_CLOSED) from None
        raise UsageError(f"standard output cannot be written ({error.strerror})") from error


def _progress_console(*, as_json: bool) -> Console:
    """Progress goes beside the answer: to standard error where that answer is JSON."""
    return Console(stderr=as_json, highlight=False)


def _print_json(data: Any, *, indent: int | None = 2) -> None:
    _out(json.dumps(data, ensure_ascii=False, indent=indent))


def _out(text: str) -> None:
    with _writing():
        print(text, flush=True)  # noqa: T201


def _complain(text: str) -> None:
    print(f"trainwatt: {text}", file=sys.stderr, flush=True)  # noqa: T201


cli.add_typer(datasets.commands(_client, _print, _print_json, _out), name="datasets")
cli.add_typer(
    experiments.commands(_client, _print, _print_json, _out, _complain), name="experiment"
)
cli.command()(check.command(_client, _out, _print_json, _complain))
cli.command()(takes_spec(quotes.quote_command(_client, _print_json, _out, _complain)))
cli.command()(quotes.track_command(_client, _print, _print_json, _out))
