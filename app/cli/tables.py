"""Jobs, hosts and workloads as tables for a person."""

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.domain.comparisons import Comparison
from app.domain.hosts import Host
from app.domain.jobs import Job
from app.domain.readings import ComponentFacts, IdlePower
from app.domain.reports import Baseline
from app.domain.specs import Dataset
from app.words.jobs import ago, dataset, model, moment, says, training
from app.words.units import NONE, per_cent, quantity, significant
from app.workloads import own_model

WHOLE = {"Job", "Status"}  # never broken: they are copied, and looked for
JOB_CHARS = 36  # of a job's id
DISPENSABLE = ("Host", "Data set", "Epochs")  # what a list of jobs goes without, in this order


def table(*columns: str) -> Table:
    """A plain table: no lines, names in bold, every cell folded rather than cut."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        least = JOB_CHARS if column == "Job" else None
        made.add_column(column, overflow="fold", no_wrap=column in WHOLE, min_width=least)
    return made


def jobs(items: Iterable[Job], console: Console) -> Table:
    """One line a job, without the least important columns where the console is narrow."""
    rows = [_job_cells(item) for item in items]
    made = _jobs(rows, ())
    for count in range(1, len(DISPENSABLE) + 1):
        if Measurement.get(console, console.options, made).maximum < console.width:
            break
        made = _jobs(rows, DISPENSABLE[:count])
    return made


def _jobs(rows: list[dict[str, str]], without: tuple[str, ...]) -> Table:
    made = table(*(name for name in rows[0] if name not in without))
    for row in rows:
        made.add_row(*(Text(cell) for name, cell in row.items() if name not in without))
    return made


def _job_cells(job: Job) -> dict[str, str]:
    return {
        "Job": job.id,
        "Status": job.status.value,
        "Model": model(job.asked),
        "Data set": dataset(job.asked) or NONE,
        "Epochs": str(job.asked.epochs or NONE),
        "Host": job.host or NONE,
        "Created": ago(job.created_at),
    }


def job(item: Job, *, stuck: str = "") -> Table:
    """One job, a line for each thing that is known of it; `stuck`: why no worker takes it."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _job_rows(item, stuck).items():
        if value:
            grid.add_row(name, Text(value))
    return grid


def _job_rows(item: Job, stuck: str) -> dict[str, str | None]:
    return {
        "Job": item.id,
        "Status": says(item, stuck=stuck),
        "Training": training(item.asked),
        "Quote": item.quote.sentence if item.quote else None,
        "Host": item.host,
        "Attempt": str(item.attempt) if item.attempt else None,
        "Created": moment(item.created_at),
        "Started": moment(item.started_at),
        "Finished": moment(item.finished_at),
        "Tags": ", ".join(f"{key}={value}" for key, value in item.asked.tags.items()),
        "Next": f"trainwatt report {item.id}"
        if item.status.final
        else f"trainwatt watch {item.id}",
    }


def comparison(found: Comparison) -> Group:
    """The verdict and what stands between the jobs, then the figures."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("A", f"{quantity(found.energy_a_j, 'J')}, {_of(found.a)}")
    grid.add_row("B", f"{quantity(found.energy_b_j, 'J')}, {_of(found.b)}")
    if found.low is not None and found.high is not None:
        ends = f"{significant(found.low)} to {significant(found.high)}"
        grid.add_row("B / A", f"{significant(found.ratio)} ({ends}, {found.scenarios} ways)")
    if found.runs_low is not None and found.runs_high is not None:
        ends = f"{significant(found.runs_low)} to {significant(found.runs_high)}"
        grid.add_row("", f"{ends} by how much the runs differ (95 %)")
    for name, ratio in found.sets.items():
        grid.add_row("", f"{significant(ratio)} under the set {name}")
    first, *rest = found.sentences
    return Group(Text(first), "", grid, "", *(Text(f"- {said}") for said in rest))


def _of(jobs: tuple[str, ...]) -> str:
    return f"job {jobs[0]}" if len(jobs) == 1 else f"mean of {len(jobs)} jobs"


def hosts(items: Iterable[Host]) -> Table:
    """One line a host: its hardware, how its energy is read, what it does."""
    made = table("Host", "Hardware", "Energy is read", "Idle", "State", "Last seen")
    for host in items:
        made.add_row(
            host.name,
            f"{host.facts.cpu_model or 'unknown CPU'}, {host.facts.logical_cpus} CPUs, "
            f"{host.facts.memory_gib:.0f} GiB",
            _sensors(host),
            _idle(host.baseline),
            _state(host),
            ago(host.last_seen),
        )
    return made


def _sensors(host: Host) -> str:
    if host.meter is None:
        return NONE
    parts = {"CPU": host.meter.cpu, "GPU": host.meter.gpu, "RAM": host.meter.ram}
    return ", ".join(f"{name} {_method(part)}" for name, part in parts.items())


def _method(part: ComponentFacts) -> str:
    return f"{part.method.value} ({part.reason})" if part.reason else part.method.value


def _idle(baseline: Baseline | None) -> str:
    if baseline is None or baseline.power_w is None:
        return NONE
    over = f" over {baseline.window_s:.0f} s" if baseline.window_s else ""
    return f"{quantity(baseline.power_w, 'W')} {baseline.method.value}{over}"


def idle_power(idle: IdlePower) -> Table:
    """What a calibration found, a line each."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, watts in (("CPU", idle.cpu_w), ("GPU", idle.gpu_w)):
        if watts is not None:
            grid.add_row(name, quantity(watts, "W"))
    grid.add_row("Window", f"{idle.window_s:.0f} s, up to {moment(idle.taken_at)}")
    if idle.others_share is not None:
        grid.add_row("Others", f"{per_cent(idle.others_share)} of the host's CPU time")
    return grid


def _state(host: Host) -> str:
    if host.current_job:
        return f"runs {host.current_job}"
    return "ready" if host.ready else "not ready"


def workloads(listing: dict[str, Any]) -> RenderableType:
    """A block for each model type, with its sizes, and the data sets."""
    default = Dataset().name
    families = [part for item in listing["model_types"] for part in _family(item)]
    return Group(
        Text(
            f"Parameters, FLOPs and memory are those on {default}, the default data set, with all "
            "else at its default; other data give others. A size is chosen by its name "
            "(--size base) or by both numbers (--size width=1.5,depth=2)."
        ),
        *families,
        Text(),
        _datasets(listing["datasets"]),
    )


def _family(item: dict[str, Any]) -> Iterator[RenderableType]:
    """What a model type is, what it takes, and its sizes or why there are none."""
    yield Text()
    yield Text.assemble((item["name"], "bold"), f": {item['title']}")
    yield _indented(Text(item["description"]))
    yield _indented(Text(f"Data sets: {', '.join(item['datasets'])}."))
    if item["name"] == own_model.NAME:
        own = "Give its JSON by --architecture FILE: it says the size, and the data's shape."
        yield _indented(Text(own))
    elif not item["sizes"]:
        yield _indented(Text(f"Its sizes cannot be worked out on {item['default_dataset']}."))
    else:
        yield _indented(_sizes(item["sizes"]))
        for name, said in (("parameters", "parameters"), ("flops", "FLOPs")):
            if reason := next(iter(item["sizes"].values()))[f"{name}_reason"]:
                yield _indented(Text(f"No {said}: {reason}."))


def _indented(what: RenderableType) -> Padding:
    return Padding(what, (0, 0, 0, 2))


def _sizes(sizes: dict[str, Any]) -> Table:
    made = table("Size", "Width × depth", "Parameters", "FLOPs/sample", "Memory")
    for name, facts in sizes.items():
        parameters, flops = facts["parameters"], facts["flops_per_sample"]
        made.add_row(
            name,
            f"{facts['width']:g} × {facts['depth']}",
            NONE if parameters is None else f"{parameters:,}",
            quantity(flops, "FLOP"),
            quantity(facts["memory_bytes"], "B"),
        )
    return made


def _datasets(items: list[dict[str, Any]]) -> Table:
    made = table("Data set", "Shape", "Classes", "To train on", "What it is")
    for item in items:
        shape = " × ".join(str(side) for side in item.get("shape") or ())
        made.add_row(
            item["name"],
            shape or NONE,
            str(item.get("classes") or NONE),
            f"{item['training_samples']:,}" if item.get("training_samples") else NONE,
            Text(item["title"]),
        )
    return made
