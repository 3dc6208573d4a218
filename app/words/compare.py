"""Jobs side by side, in words: ratios, what differs in their specs, what does not cancel."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.jobs import Job
from app.domain.readings import Method
from app.domain.reports import EnergyReport
from app.words.units import NONE, duration, interval, per_cent, quantity, significant

UNLIKE = 0.05  # share of others' CPU time from which a run is not like one without


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A finished job, and the letter that stands for it."""

    name: str
    job: Job
    report: EnergyReport


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of every job, and its ratio to that of the first; null where there is none."""

    name: str
    values: tuple[str, ...]
    ratios: tuple[str | None, ...]


Value = Callable[[EnergyReport], float | None]
FIGURES: tuple[tuple[str, Value, Callable[[float | None], str], bool], ...] = (
    ("Energy", lambda r: r.energy.total_j, lambda v: quantity(v, "J"), True),
    ("Above idle", lambda r: r.energy.net_j, lambda v: quantity(v, "J"), True),
    ("Energy per sample", lambda r: r.efficiency.j_per_sample, lambda v: quantity(v, "J"), True),
    ("Energy to target", lambda r: r.efficiency.j_to_target, lambda v: quantity(v, "J"), True),
    ("CO2e", lambda r: r.emissions.co2e_g, lambda v: quantity(v, "g"), True),
    ("Mean power", lambda r: r.mean_power_w, lambda v: quantity(v, "W"), True),
    ("Duration", lambda r: r.duration_s, lambda v: NONE if v is None else duration(v), True),
    ("Test accuracy", lambda r: r.quality.test_accuracy, per_cent, False),
    ("Test loss", lambda r: r.quality.test_loss, significant, False),
    ("Samples trained", lambda r: float(r.work.samples), lambda v: f"{v or 0:,.0f}", True),
    (
        "Speed",
        lambda r: r.work.achieved_flops_per_s,
        lambda v: quantity(v, "FLOP/s"),
        True,
    ),
)


def sentence(one: Compared, other: Compared) -> str:
    """How another job's energy stands to the first one's, as their central figures have it."""
    a, b = one.report.energy, other.report.energy
    if not a.total_j or not b.total_j:
        return f"Nobody can tell how {other.name} compares with {one.name}: a figure is missing."
    ratio = b.total_j / a.total_j
    least = "" if a.complete and b.complete else "By what could be read, "
    used = f"{other.name} used {significant(ratio)} times the energy of {one.name}"
    ends = (interval(e.low_j, e.high_j, "J", of=e.total_j) for e in (a, b))
    return f"{least}{used} ({' against '.join(ends)})."


def figures(compared: Sequence[Compared]) -> list[Figure]:
    """Every figure that at least one of the jobs has."""
    found = []
    for name, value, shown, has_ratio in FIGURES:
        values = [value(one.report) for one in compared]
        if all(v is None for v in values):
            continue
        first = values[0]
        ratios = [significant(v / first) if has_ratio and v and first else None for v in values]
        found.append(
            Figure(name=name, values=tuple(map(shown, values)), ratios=(None, *ratios[1:]))
        )
    return found


def differences(compared: Sequence[Compared]) -> list[tuple[str, tuple[str, ...], bool]]:
    """Every field of the specs by its name, each job's value, and whether they differ."""
    flat = [dict(_flat(one.job.asked.model_dump(mode="json"))) for one in compared]
    names = list(dict.fromkeys(name for one in flat for name in one))
    rows = []
    for name in names:
        values = tuple(_plain(one.get(name)) for one in flat)
        rows.append((name, values, len(set(values)) > 1))
    return rows


def caveats(compared: Sequence[Compared]) -> list[str]:
    """What stands between the jobs, a sentence each: errors that they do not share."""
    reports = [one.report for one in compared]
    said = []
    if len({r.environment.host if r.environment else None for r in reports}) > 1:
        said.append("They ran on different hosts: the models' errors do not cancel.")
    if len({(r.energy.cpu.method, r.energy.gpu.method) for r in reports}) > 1:
        said.append("Their energy is known by different methods: a sensor and a model differ.")
    elif _modelled(reports):
        said.append(
            "No sensor measured: on one host under a full load a model's energy follows the "
            "duration, so that the ratio compares durations more than powers."
        )
    if any((r.trust.contention_share or 0) > UNLIKE for r in reports):
        said.append("Other programs used the CPUs in some of the runs.")
    if any(r.status != "succeeded" for r in reports):
        said.append("Not every job ran to its end: compare energy per sample, not totals.")
    if len({r.assumptions.set for r in reports}) > 1:
        said.append("They were made with different sets of assumptions.")
    said.append(
        "One run each does not show how much runs of the same job differ: repeat them before "
        "you decide on a difference of a few per cent."
    )
    return said


def _modelled(reports: Iterable[EnergyReport]) -> bool:
    return all(r.energy.cpu.method in (Method.ESTIMATED, Method.ASSUMED) for r in reports)


def _flat(body: dict[str, Any], above: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in body.items():
        if isinstance(value, dict) and value and name != "architecture":
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _plain(value: Any) -> str:
    if value is None or value in ([], {}):
        return NONE
    if isinstance(value, dict):
        return str(value.get("config", {}).get("name", "given"))[:64]
    return str(value).lower() if isinstance(value, bool) else str(value)
