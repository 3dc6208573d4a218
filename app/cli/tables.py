"""Jobs, hosts and workloads as tables for a person."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.cli.units import NONE, quantity
from app.cli.watch import says
from app.domain.hosts import Host
from app.domain.jobs import Job
from app.domain.readings import ComponentFacts
from app.domain.specs import ExplicitSize, Size

WHOLE = {"Job", "Status"}  # never broken: they are copied, and looked for


def table(*columns: str) -> Table:
    """A plain table: no lines, names in bold, every cell folded rather than cut."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column in WHOLE)
    return made


def jobs(items: Iterable[Job]) -> Table:
    """One line a job."""
    made = table("Job", "Status", "Model", "Data set", "Epochs", "Host", "Created")
    for job in items:
        made.add_row(
            job.id,
            job.status.value,
            f"{job.spec.model_type} {size(job.spec.size)}",
            job.spec.dataset.name,
            str(job.spec.epochs),
            job.host or NONE,
            ago(job.created_at),
        )
    return made


def job(item: Job) -> Table:
    """One job, a line for each thing that is known of it."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _job_rows(item).items():
        if value:
            grid.add_row(name, Text(value))
    return grid


def _job_rows(item: Job) -> dict[str, str | None]:
    spec = item.spec
    return {
        "Job": item.id,
        "Status": says(item),
        "Training": f"{spec.model_type} {size(spec.size)} on {spec.dataset.name}, "
        f"{spec.epochs} epochs, batches of {spec.batch_size}, seed {spec.seed}",
        "Host": item.host,
        "Attempt": str(item.attempt) if item.attempt else None,
        "Created": moment(item.created_at),
        "Started": moment(item.started_at),
        "Finished": moment(item.finished_at),
        "Tags": ", ".join(f"{key}={value}" for key, value in spec.tags.items()),
        "Next": f"trainwatt report {item.id}"
        if item.status.final
        else f"trainwatt watch {item.id}",
    }


def hosts(items: Iterable[Host]) -> Table:
    """One line a host: its hardware, how its energy is read, what it does."""
    made = table("Host", "Hardware", "Energy is read", "State", "Last seen")
    for host in items:
        made.add_row(
            host.name,
            f"{host.facts.cpu_model or 'unknown CPU'}, {host.facts.logical_cpus} CPUs, "
            f"{host.facts.memory_gib:.0f} GiB",
            _sensors(host),
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


def _state(host: Host) -> str:
    if host.current_job:
        return f"runs {host.current_job}"
    return "ready" if host.ready else "not ready"


def workloads(listing: dict[str, Any]) -> RenderableType:
    """Model types with their sizes, and data sets."""
    models = table("Model", "Size", "Parameters", "Layers", "FLOPs/sample", "Memory")
    for model in listing["model_types"]:
        for name, facts in model["sizes"].items():
            models.add_row(model["name"], name, *_facts(facts))
    return Group(models, Text(), _datasets(listing["datasets"]))


def _facts(facts: dict[str, Any]) -> tuple[str, ...]:
    flops = facts.get("flops_per_sample")
    return (
        f"{facts['parameters']:,}",
        str(facts["layers"]),
        NONE if flops is None else quantity(flops, "FLOP"),
        quantity(facts.get("memory_bytes"), "B"),
    )


def _datasets(items: list[dict[str, Any]]) -> Table:
    made = table("Data set", "Shape", "Classes", "Training samples")
    for item in items:
        shape = " × ".join(str(side) for side in item.get("shape") or ())
        made.add_row(
            item["name"],
            shape or NONE,
            str(item.get("classes") or NONE),
            f"{item['training_samples']:,}" if item.get("training_samples") else NONE,
        )
    return made


def size(value: Size) -> str:
    """A size as it is typed: `base`, or `width=1.5,depth=2`."""
    if isinstance(value, ExplicitSize):
        return f"width={value.width:g},depth={value.depth}"
    return value


def moment(at: datetime | None) -> str | None:
    """A time in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at else None


def ago(at: datetime) -> str:
    """How long ago a time was, in its largest unit: `42 s ago`, `3 h ago`."""
    seconds = max(0, round((datetime.now(UTC) - at).total_seconds()))
    for unit, size_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size_s:
            return f"{seconds // size_s} {unit} ago"
    return f"{seconds} s ago"
