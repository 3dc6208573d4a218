"""`trainwatt check`: whether a training uses more energy than a baseline, for CI."""

import inspect
import json
import math
import os
import signal
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from functools import wraps
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError
from rich.console import Console

from app.analysis import ratios
from app.api.validation import json_object
from app.cli import INTERRUPTED
from app.cli.specs import Body, spec_body, takes_spec
from app.client import Client
from app.client.models import parse
from app.domain.errors import SpecError, UsageError
from app.domain.hosts import no_taker
from app.domain.jobs import Job, JobStatus
from app.domain.readings import Method
from app.domain.report_rows import ReportRow
from app.words.jobs import says
from app.words.units import NONE, per_cent, quantity

Say = Callable[[str], None]
OpenClient = Callable[[], AbstractContextManager[Client]]
Rows = Sequence[ReportRow]
Verdict = Literal["ok", "more", "cannot_tell", "failed", "saved"]

EXIT_CODES: dict[Verdict, int] = {"ok": 0, "saved": 0, "more": 1, "failed": 1, "cannot_tell": 4}
REPEATS, LEAST_RUNS = 5, 2
MAX_INCREASE = 0.05  # a share

METHODS = {"cpu": "CPU", "gpu": "GPU", "ram": "RAM"}
ASKED: tuple[str, ...] = (
    "model_type",
    "size",
    "model_name",
    "dataset",
    "dataset_samples",
    "label_noise",
)
ASKED += ("epochs", "batch_size", "learning_rate", "precision", "target_accuracy")
DISTURBED = ("contention", "service_busy", "not_quiet", "swapping", "steal", "sample_gap")
HIDDEN = "the specs differ in a field that rows do not show"
ANEW = "make the baseline anew, with --save, as the runs are made now"


def _per_cent(text: str) -> float:
    """A share of one from `5%` or `5`."""
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise typer.BadParameter(
            f"expected per cent, 0 or more, as 5% (or 5, which is the same), received {text!r}"
        )
    return value / 100


Repeats = Annotated[
    int | None,
    typer.Option(min=LEAST_RUNS, help=f"How often to run it (default: {REPEATS})."),
]
JobIds = Annotated[
    list[str] | None,
    typer.Option("--job", metavar="ID", help="A job that has run, instead of a spec; repeat it."),
]
Against = Annotated[
    str | None, typer.Option(metavar="FILE", help="The baseline: what GET /v1/reports answered.")
]
Save = Annotated[
    str | None, typer.Option(metavar="FILE", help="Keep these runs there, as a baseline.")
]
Increase = Annotated[
    Any,
    typer.Option(
        parser=_per_cent, metavar="PERCENT", help="How much more is allowed (default: 5%)."
    ),
]
AnyHost = Annotated[
    bool, typer.Option("--any-host", help="Compare although the hosts are not the same.")
]
Url = Annotated[str | None, typer.Option(help="Where the service answers (TRAINWATT_URL).")]
AsJson = Annotated[bool, typer.Option("--json", help="The verdict as JSON, nothing else.")]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for, read from the options and checked before anything runs."""

    repeats: int
    baseline: Rows
    left_out: Rows  # of the baseline's file, since they have no figure
    allowed: float  # ratio
    save: Path | None
    any_host: bool


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The verdict with its figures, which are ratios of energy, and its sentences."""

    verdict: Verdict
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    runs: dict[str, int] = field(default_factory=dict)
    allowed: float | None = None
    sentences: tuple[str, ...]


class FailedError(Exception):
    """A job did not succeed, or has no figure; the text is a sentence."""


def command(
    open_client: OpenClient, say: Say, show_json: Callable[[Any], None], complain: Say
) -> Callable[..., None]:
    """The command.

    Args:
        open_client: speaks to the service that the settings name.
        say: puts a line on standard output.
        show_json: puts JSON there.
        complain: puts a sentence on standard error.
    """

    def check(
        body: Body,
        *,
        job: JobIds = None,
        repeats: Repeats = None,
        against: Against = None,
        max_increase: Increase = None,
        save: Save = None,
        any_host: AnyHost = False,
        url: Url = None,
        as_json: AsJson = False,
    ) -> None:
        """Run a training several times and compare its energy with a baseline's.

        Exits 0 where it uses no more than is allowed, 1 where it uses more or a job failed, 4 where
        the noise allows no verdict.
        """
        wanted = _wanted(against, save, repeats, max_increase, any_host=any_host)
        if url is not None:
            os.environ["TRAINWATT_URL"] = url
        try:
            with open_client() as client:
                rows = _finished(client, job) if job else _runs(client, body, wanted, complain)
            answer = _answer(rows, wanted)
        except FailedError as error:
            complain(str(error))
            answer = Answer(verdict="failed", sentences=(str(error),))
        except KeyboardInterrupt:
            complain("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        if as_json:
            show_json(asdict(answer))
        elif answer.verdict != "failed":
            say("\n".join(answer.sentences))
        raise typer.Exit(EXIT_CODES[answer.verdict])

    return _or_jobs(check)


def _or_jobs(check: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of a spec, which are left out where jobs are named."""
    with_spec = takes_spec(check)
    of_spec = inspect.signature(spec_body).parameters

    @wraps(with_spec)
    def either(**given: Any) -> None:
        if not given["job"]:
            with_spec(**given)
            return
        unused = [name for name in (*of_spec, "repeats") if given[name] is not None]
        if unused:
            option = unused[0].replace("_", "-")
            raise UsageError(f"--job names jobs that have run already: leave --{option} out")
        check({}, **{name: given[name] for name in given if name not in of_spec})

    return either


def _wanted(
    against: str | None,
    save: str | None,
    repeats: int | None,
    max_increase: float | None,
    *,
    any_host: bool,
) -> Wanted:
    """What the options ask for; the files are tried now, not after the runs.

    Raises:
        UsageError: a file cannot be used, or there is nothing to do.
    """
    if against is None and save is None:
        raise UsageError(
            "expected --against FILE to compare with, or --save FILE to make that file, "
            "received neither"
        )
    if against is None and max_increase is not None:
        raise UsageError("--max-increase is against a baseline: add --against FILE")
    keep = None if save is None else Path(save)
    if keep and against and keep.resolve() == Path(against).resolve():
        raise UsageError(
            "--save would replace the baseline by what it is compared with: name another file"
        )
    if keep:
        _try_to_write(keep)
    rows = _baseline(against) if against is not None else ()
    return Wanted(
        repeats=REPEATS if repeats is None else repeats,
        baseline=[row for row in rows if _usable(row)],
        left_out=[row for row in rows if not _usable(row)],
        allowed=1 + (MAX_INCREASE if max_increase is None else max_increase),
        save=keep,
        any_host=any_host,
    )


def _baseline(name: str) -> Rows:
    """The rows of a baseline's file.

    Raises:
        UsageError: it cannot be read, is none, or has too few runs.
    """
    if Path(name).is_fifo():
        raise UsageError(f"--against: expected a file, received {name}, a pipe")
    try:
        page = json_object(Path(name).read_bytes())
        rows = [parse(ReportRow, item) for item in page["items"]]
    except OSError as error:
        raise UsageError(f"--against: {name} cannot be read ({error.strerror})") from error
    except (SpecError, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"--against: expected {name} to hold what GET /v1/reports answers as JSON, or what "
            f"--save wrote, received {_received(error)}"
        ) from error
    usable = [row for row in rows if _usable(row)]
    if len(usable) < LEAST_RUNS:
        raise UsageError(
            f"--against: expected {LEAST_RUNS} or more jobs in {name} that succeeded and have an "
            f"energy figure, received {len(usable)}: make it with --save"
        )
    _once(f"--against: {name}", rows)
    return rows


def _received(error: Exception) -> str:
    """What a file holds instead, briefly."""
    if isinstance(error, SpecError):
        return f"something else than {error.errors[0].expected}"
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"a row whose {'.'.join(map(str, first['loc'])) or 'type'} is not right"
    return "no list of items"


def _once(where: str, rows: Rows) -> None:
    """A job that counts twice would make the runs look more alike than they are.

    Raises:
        UsageError: one does.
    """
    name, times = Counter(row.job_id for row in rows).most_common(1)[0]
    if times > 1:
        raise UsageError(f"{where} has job {name} more than once: each run counts once")


def _usable(row: ReportRow) -> bool:
    return row.status is JobStatus.SUCCEEDED and bool(row.energy_total_j and row.energy_total_j > 0)


def _runs(client: Client, body: Body, wanted: Wanted, complain: Say) -> Rows:
    """Run the training so many times, one after the other; the job that runs ends with us.

    Raises:
        FailedError: a job did not succeed, or has no figure.
        KeyboardInterrupt: Ctrl-C, or SIGTERM.
    """
    from app.cli import own

    if why := no_taker(own.check(body).placement.labels, client.hosts()):
        complain(why)
    progress = Console(stderr=True, highlight=False)
    shown = progress if progress.is_terminal else Console(quiet=True)
    here = own.Here(url=client.url, started_here=True)  # ours to cancel
    rows = []
    with _sigterm_interrupts():
        for number in range(1, wanted.repeats + 1):
            job = own.run(here, client, body, shown, complain)
            rows.append(_row(client, job))
            told = f"run {number} of {wanted.repeats}: {_told(rows[-1])}"
            progress.print(told, markup=False, soft_wrap=True)
    return rows


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """As Ctrl-C does: a CI that gives up sends it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _finished(client: Client, job_ids: Collection[str]) -> Rows:
    """The rows of jobs that have run already.

    Raises:
        UsageError: there are too few, or one is not final.
        FailedError: one did not succeed, or has no figure.
    """
    if len(job_ids) < LEAST_RUNS:
        raise UsageError(
            f"expected {LEAST_RUNS} or more jobs, received one: a single run does not show how "
            "much runs differ; repeat --job"
        )
    jobs = [client.get(job_id) for job_id in job_ids]
    for job in jobs:
        if not job.status.final:
            raise UsageError(
                f"job {job.id} is {job.status.value}: wait for its end with "
                f"`trainwatt watch {job.id}`"
            )
    rows = [_row(client, job) for job in jobs]
    _once("--job", rows)
    return rows


def _row(client: Client, job: Job) -> ReportRow:
    """The row of a job that has ended.

    Raises:
        FailedError: it did not succeed, or has no figure.
    """
    from app.accounting.rows import row

    if job.status is not JobStatus.SUCCEEDED:
        raise FailedError(f"job {job.id} is no run to compare: {says(job)}")
    made = row(client.report(job.id), spec=job.asked, created_at=job.created_at)
    if not _usable(made):
        raise FailedError(
            f"job {job.id} has no energy figure to compare: `trainwatt report {job.id}` says why"
        )
    return made


def _told(row: ReportRow) -> str:
    energy, accuracy = quantity(row.energy_total_j, "J"), per_cent(row.test_accuracy)
    return f"{energy}, accuracy {accuracy}, grade {row.grade} (job {row.job_id})"


def _answer(rows: Rows, wanted: Wanted) -> Answer:
    """The verdict on these runs, which are kept first where that is asked for.

    Raises:
        UsageError: they cannot be kept, or stand in the baseline too.
    """
    saved = [_keep(wanted.save, rows)] if wanted.save else []
    if not wanted.baseline:
        return Answer(verdict="saved", runs={"now": len(rows)}, sentences=tuple(saved))
    _once("the baseline together with --job", [*wanted.baseline, *rows])
    before, now = _joules(wanted.baseline), _joules(rows)
    found = ratios.ratio(before, now)
    verdict = ratios.verdict(found, wanted.allowed)
    obstacles = list(_obstacles(wanted.baseline, rows, any_host=wanted.any_host))
    if obstacles:
        verdict = "cannot_tell"
        first = [f"Cannot tell: {obstacles[0]}.", *(f"Also: {one}." for one in obstacles[1:])]
    else:
        first = [sentence(found, wanted.allowed, ratios.runs_needed(before, now, wanted.allowed))]
    return Answer(
        verdict=verdict,
        ratio=found.ratio,
        low=found.low,
        high=found.high,
        runs={"baseline": found.baseline_runs, "now": found.now_runs},
        allowed=wanted.allowed,
        sentences=(*first, *_notes(wanted, rows), *saved),
    )


def sentence(found: ratios.Ratio, allowed: float, needed: int | None) -> str:
    """The verdict in words.

    Args:
        found: the ratio with its interval.
        allowed: the ratio up to which all is well.
        needed: runs on each side that would give a verdict; null: more than can be advised.
    """
    limit = f"{100 * (allowed - 1):.4g} %"
    ends = f"{_change(found.low)} to {_change(found.high)} %"
    runs = f"{found.now_runs} runs against {found.baseline_runs}"
    verdict = ratios.verdict(found, allowed)
    if verdict == "cannot_tell":
        more = f"More than {ratios.MOST_RUNS} runs each would be needed: allow more."
        cure = more if needed is None else f"About {needed} runs each would tell."
        return (
            f"Cannot tell whether it uses over {limit} more energy than the baseline: the figure "
            f"is {_change(found.ratio)} %, the interval {ends} ({runs}). {cure}"
        )
    change = f"{abs(100 * (found.ratio - 1)):,.1f} % {'less' if found.ratio < 1 else 'more'}"
    judged = "more than" if verdict == "more" else "within"
    return f"Uses {change} energy than the baseline ({ends}, {runs}): {judged} the {limit} allowed."


def _change(ratio: float | None) -> str:
    return NONE if ratio is None else f"{100 * (ratio - 1):+,.1f}"


def _obstacles(before: Rows, now: Rows, *, any_host: bool) -> Iterator[str]:
    """Why the runs cannot be compared, a clause each, with what to do."""
    both = [*before, *now]
    for name, component in METHODS.items():
        column = f"energy_{name}_method"
        if len(_values(both, column)) > 1:
            yield f"the energy of the {component} is {_sides(before, now, column)}; {ANEW}"
    if len(_values(both, "assumptions")) > 1:
        yield f"the set of assumptions is {_sides(before, now, 'assumptions')}; {ANEW}"
    if len({row.overrides or "{}" for row in both}) > 1:
        yield (
            "what the worker was told of its host (`assumptions.overrides`) is not the same in all "
            f"runs; {ANEW}"
        )
    if not any_host and len(_values(both, "host")) > 1:
        yield (
            f"the host is {_sides(before, now, 'host')}; run on the same one (--label host:NAME), "
            "make the baseline anew there, or accept the difference with --any-host"
        )
    for side, rows in (("rows of the baseline", before), ("jobs named now", now)):
        if mixed := _mixed(rows):
            yield (
                f"the {side} are of different trainings ({mixed}); keep to runs of one training, "
                "as a tag gives them (/v1/reports?tag=KEY:VALUE)"
            )


def _notes(wanted: Wanted, now: Rows) -> Iterator[str]:
    """What a reader has to know beside the verdict, a sentence each."""
    before = wanted.baseline
    both = [*before, *now]
    yield (
        f"Energy: {quantity(_typical_j(before), 'J')} in the baseline, "
        f"{quantity(_typical_j(now), 'J')} now (geometric means)."
    )
    yield _accuracies(before, now)
    if changed := _changed(before, now):
        yield f"The trainings differ: {changed}."
    for side, rows in (("baseline", before), ("runs now", now)):
        if disturbed := _disturbed(rows):
            yield f"Disturbed in the {side}: {disturbed}; run them again on a quiet host."
    if wanted.any_host and len(_values(both, "host")) > 1:
        yield (
            f"The host is {_sides(before, now, 'host')}: a difference may be the hosts', not the "
            "training's."
        )
    if not all(row.complete for row in both):
        yield "A component could not be read: this compares lower bounds."
    if not any(map(_measured, both)):
        yield (
            "No sensor measured: under a full load a model's energy follows the duration, "
            "so that this compares durations more than energy."
        )
    if len(before) != len(now) and min(len(before), len(now)) < REPEATS:
        yield (
            f"The sides have {len(before)} and {len(now)} runs: the interval is a little too "
            "narrow then; make them as many."
        )
    if wanted.left_out:
        yield (
            f"Left out of the baseline: {len(wanted.left_out)} of its rows, which did not succeed "
            "or have no energy figure."
        )


def _measured(row: ReportRow) -> bool:
    """Whether a sensor counted a component of it."""
    return Method.MEASURED in {getattr(row, f"energy_{name}_method") for name in METHODS}


def _accuracies(before: Rows, now: Rows) -> str:
    """The mean accuracies; where less energy was bought with them, this is said."""
    one, other = _accuracy(before), _accuracy(now)
    said = f"Test accuracy: {per_cent(one)} in the baseline, {per_cent(other)} now (means)."
    lower = one is not None and other is not None and other < one
    if lower and _typical_j(now) < _typical_j(before):
        return f"{said} Energy saved at a lower accuracy may be no saving."
    return said


def _accuracy(rows: Rows) -> float | None:
    known = [row.test_accuracy for row in rows if row.test_accuracy is not None]
    return fmean(known) if known else None


def _disturbed(rows: Rows) -> str:
    """Reasons in the reports, with how many of the runs have them."""
    found = Counter(code for row in rows for code in row.reasons.split() if code in DISTURBED)
    return ", ".join(f"{code} in {count} of {len(rows)}" for code, count in sorted(found.items()))


def _mixed(rows: Rows) -> str:
    """In what the runs of one side differ; a seed of its own for each run is no difference."""
    columns = [name for name in ASKED if len(_values(rows, name)) > 1]
    if columns:
        return ", ".join(f"{name}: {_listed(_values(rows, name))}" for name in columns)
    specs = {(row.seed, row.spec_sha256) for row in rows}
    seeds = {row.seed for row in rows}
    return HIDDEN if len(specs) > len(seeds) else ""


def _changed(before: Rows, now: Rows) -> str:
    """In what the two sides were asked for different things."""
    columns = [name for name in ASKED if _values(before, name) != _values(now, name)]
    if columns:
        return "; ".join(f"{name} is {_sides(before, now, name)}" for name in columns)
    specs = {row.seed: row.spec_sha256 for row in before}
    hidden = any(specs.get(row.seed, row.spec_sha256) != row.spec_sha256 for row in now)
    return HIDDEN if hidden else ""


def _sides(before: Rows, now: Rows, column: str) -> str:
    one, other = _listed(_values(before, column)), _listed(_values(now, column))
    return f"{one} in the baseline and {other} now"


def _values(rows: Rows, column: str) -> set[Any]:
    return {getattr(row, column) for row in rows}


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(sorted(NONE if value is None else str(value) for value in values))


def _joules(rows: Rows) -> list[float]:
    return [row.energy_total_j for row in rows if row.energy_total_j is not None]


def _typical_j(rows: Rows) -> float:
    return math.exp(fmean(map(math.log, _joules(rows))))


def _try_to_write(path: Path) -> None:
    """See that a file can be written, and leave it as it was.

    Raises:
        UsageError: it cannot.
    """
    there = path.exists()
    if path.is_fifo():
        raise UsageError(f"--save: expected a file, received {path}, a pipe")
    try:
        path.open("ab").close()
    except OSError as error:
        raise _unwritable(path, error) from error
    if not there:
        path.unlink()


def _keep(path: Path, rows: Rows) -> str:
    """Write the runs as a baseline; the sentence that says so.

    Raises:
        UsageError: the file cannot be written.
    """
    page = {"items": [row.model_dump(mode="json") for row in rows], "next_cursor": None}
    try:
        path.write_text(json.dumps(page, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error, rows) from error
    return f"Kept {len(rows)} runs as a baseline in {path}."


def _unwritable(path: Path, error: OSError, rows: Rows = ()) -> UsageError:
    again = " ".join(f"--job {row.job_id}" for row in rows)
    cure = (
        f"`trainwatt check {again} --save FILE` keeps these runs" if again else "name another file"
    )
    return UsageError(f"--save: {path} cannot be written ({error.strerror}): {cure}")
