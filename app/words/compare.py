"""Jobs side by side, in words: ratios, what differs in their specs, what does not cancel."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.comparisons import Comparison
from app.domain.jobs import Job
from app.domain.readings import Method
from app.domain.reports import EnergyReport, Trained
from app.words.units import NONE, duration, per_cent, quantity, significant

NAMED = 3  # scenarios that a sentence names
PARTS = ("cpu", "gpu", "ram")
SAME_POWER = 0.005  # by which mean powers of models may differ and still be called the same
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


def verdict(found: Comparison, a: str = "A", b: str = "B") -> str:
    """How B's energy stands to A's, and whether that survives other assumptions.

    Args:
        found: the comparison.
        a: what A is called.
        b: what B is called.
    """
    if found.ratio is None or found.low is None or found.high is None:
        return (
            f"Nobody can tell how {b} compares with {a}: a figure is missing, or is a lower bound."
        )
    used = f"{b} used {significant(found.ratio)} times the energy of {a}"
    ends = f"{significant(found.low)} to {significant(found.high)}"
    if found.runs_low is not None and found.runs_low <= 1 <= (found.runs_high or 0):
        runs = f"{significant(found.runs_low)} to {significant(found.runs_high)}"
        return (
            f"{used}, which their runs do not make sure ({runs}, the 95 % interval over them): "
            "nobody can tell who used less."
        )
    if found.less is None:
        return f"{used}: their central figures are the same ({ends} under other assumptions)."
    ranking = f"{b if found.less == 'b' else a} used less"
    if not found.cancels:
        spread = f"{used} by the central figures, and {ends} times by the ends of their intervals"
        sure = (
            f"{ranking} in any case" if found.holds == "in_all" else "nobody can tell who used less"
        )
        return f"{spread}: {sure}."
    if found.holds == "in_all":
        every = f"under each of {found.scenarios} ways to know it"
        return f"{used} ({ends} {every}): {ranking} in all of them."
    others = "; ".join(one.name for one in found.against[:NAMED])
    return (
        f"{used} ({ends}): {ranking} under {found.agreeing} of {found.scenarios} ways to know it, "
        f"and not under the others ({others}{'; …' if len(found.against) > NAMED else ''})."
    )


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


def caveats(reports: Sequence[EnergyReport], *, repeated: bool = False) -> list[str]:
    """What stands between the jobs, a sentence each: errors that they do not share.

    Args:
        reports: of all of them.
        repeated: whether each side has several runs, whose spread is in the verdict.
    """
    said = []
    if len({r.environment.host if r.environment else None for r in reports}) > 1:
        said.append("They ran on different hosts: the models' errors do not cancel.")
    if len({tuple(sorted(r.assumptions.overrides.items())) for r in reports}) > 1:
        said.append("What their workers were told of the host differs: the errors do not cancel.")
    if changed := _changed([r.trained for r in reports if r.trained]):
        said.append(f"The trainings differ in {', '.join(changed)}.")
    if any(not r.energy.complete for r in reports):
        said.append("A component of some could not be read: their reports say why.")
    elif len({(r.energy.cpu.method, r.energy.gpu.method) for r in reports}) > 1:
        said.append("Their energy is known by different methods: the errors do not cancel.")
    elif not any(map(_measured, reports)):
        said.append(_of_durations(reports))
    else:
        said.append(
            "A sensor's error is taken to be the same factor for all: what of it depends on the "
            "load does not cancel, and a difference of a few per cent may be of that kind."
        )
    if any((r.trust.contention_share or 0) > UNLIKE for r in reports):
        said.append("Other programs used the CPUs in some of the runs.")
    if any(r.status != "succeeded" for r in reports):
        said.append("Not every job ran to its end: compare energy per sample, not totals.")
    if len({r.assumptions.set for r in reports}) > 1:
        said.append("They were made with different sets of assumptions.")
    said.append(
        "These are means over runs, and the verdict holds over how much those differ, at 95 %."
        if repeated
        else "One run of a side does not show how much runs of the same job differ: repeat them "
        "before you decide on a difference of a few per cent."
    )
    return said


def _changed(trained: Sequence[Trained]) -> list[str]:
    """In what trainings differ, by the fields of their reports; a seed is no other training."""
    fields = [name for name in Trained.model_fields if name != "seed"]
    differ = [name for name in fields if len({getattr(one, name) for one in trained}) > 1]
    return [name.replace("_", " ") for name in differ]


def _of_durations(reports: Sequence[EnergyReport]) -> str:
    """What a comparison without sensors compares: all of it durations, where powers are alike."""
    if all(_same_power(part, reports) for part in PARTS):
        return (
            "No sensor measured, and the models bill the same power to all of them: this compares "
            "durations."
        )
    return (
        "No sensor measured: on one host under a full load a model's energy follows the duration, "
        "so that the ratio compares durations more than powers."
    )


def _same_power(part: str, reports: Sequence[EnergyReport]) -> bool:
    """Whether a component drew the same mean power in all runs, or is in none."""
    energies_j = [getattr(r.energy, part).energy_j for r in reports]
    known = [j / r.duration_s for j, r in zip(energies_j, reports, strict=True) if j is not None]
    if len(known) < len(reports):
        return not known
    return bool(max(known) <= (1 + SAME_POWER) * min(known))


def _measured(report: EnergyReport) -> bool:
    """Whether a sensor counted a component of it."""
    energy = report.energy
    return Method.MEASURED in {energy.cpu.method, energy.gpu.method, energy.ram.method}


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
