"""Families of installed packages, by the entry point group `trainwatt.workloads`."""

import logging
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points

from app.workloads.family import Family

logger = logging.getLogger(__name__)

GROUP = "trainwatt.workloads"


def families(taken: Iterable[str]) -> Mapping[str, Family]:
    """Every family that a package offers under a name that is free.

    One that cannot be had is left out, with an error in the log that says why: a broken package
    must not end the service.

    Args:
        taken: names that no package can have.
    """
    found: dict[str, Family] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        try:
            found[point.name] = _family(point, {*taken, *found})
        except Exception as error:
            logger.exception("the workload %s (%s) is left out: %s", point.name, point.value, error)
    return found


def _family(point: EntryPoint, taken: set[str]) -> Family:
    """The family of an entry point.

    Raises:
        ValueError: it is none, or its name is not its own.
    """
    family = point.load()
    if not isinstance(family, Family):
        raise ValueError(f"expected an app.workloads.family.Family, received {family!r:.200}")
    if family.name != point.name:
        raise ValueError(f"expected the entry point's name, received a family {family.name!r}")
    if family.name in taken:
        raise ValueError("expected a name that is free, received one that is taken")
    return family
