"""Every way to know the energy of a run: a model, or an end of its interval, for each component."""

import itertools
import math
from collections.abc import Sequence

from app.domain.readings import Method
from app.domain.reports import Component, EnergyReport

Figures = dict[str, float]  # joules of a component by the name of the way
PARTS = ("cpu", "gpu", "ram")
NOTHING: Figures = {"": 0.0}  # of a component that does not exist


def named(reports: Sequence[EnergyReport]) -> dict[str, Sequence[float]] | None:
    """Joules of each run in every scenario, by its name; null where errors do not cancel.

    They do on one host, by the same methods and models: whatever is wrong with a model is wrong in
    the same way for all.
    """
    places = {_place(report) for report in reports}
    if len(places) != 1 or None in places:
        return None
    by_component = []
    for part in PARTS:
        ways = [figures(getattr(report.energy, part)) for report in reports]
        first = ways[0]
        if first is None or any(way is None or way.keys() != first.keys() for way in ways):
            return None
        by_component.append([(name, [way[name] for way in ways if way]) for name in first])
    found: dict[str, Sequence[float]] = {}
    for chosen in itertools.product(*by_component):
        ways_named = zip(PARTS, (way for way, _ in chosen), strict=True)
        name = ", ".join(f"{part.upper()} by {way}" for part, way in ways_named if way)
        found[name] = [math.fsum(values) for values in zip(*(v for _, v in chosen), strict=True)]
    return found


def _place(report: EnergyReport) -> tuple[object, ...] | None:
    """What has to be the same for errors to be: the machine, its sensor, what was told of it."""
    here = report.environment
    if here is None:
        return None
    told = tuple(sorted(report.assumptions.overrides.items()))
    return here.host, here.cpu_model, here.logical_cpus, here.gpus, here.codecarbon, told


def figures(component: Component) -> Figures | None:
    """The joules of a component by each way to know them; null where it could not be read."""
    if component.method is Method.ABSENT:
        return NOTHING
    central_j, low_j, high_j = component.energy_j, component.low_j, component.high_j
    if central_j is None or low_j is None or high_j is None:
        return None
    if not component.models:
        name = "its sensor" if component.method is Method.MEASURED else "its rated power"
        return _ends(name, central_j, low_j, high_j)
    found: Figures = {}
    for name, figure in component.models.items():
        found |= _ends(name, figure.energy_j, figure.low_j, figure.high_j)
    return found


def _ends(name: str, central_j: float | None, low_j: float, high_j: float) -> Figures:
    """A figure and its ends; one name where it has no width."""
    if central_j is not None and low_j == high_j:
        return {name: central_j}
    ends = {f"{name} (low end)": low_j, f"{name} (high end)": high_j}
    return ends if central_j is None else {name: central_j, **ends}
