"""Families of installed packages, by the entry point group `trainwatt.workloads`."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from typing import ParamSpec, TypeVar, get_args

from app.domain.errors import FieldError, SpecError
from app.domain.specs import SizeName
from app.workloads.family import Family

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

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
    if set(family.sizes) != set(get_args(SizeName)):
        expected = ", ".join(get_args(SizeName))
        raise ValueError(f"expected the sizes {expected}, received {', '.join(family.sizes)}")
    return replace(
        family,
        input_shape=_guarded(family.name, family.input_shape),
        layers=_guarded(family.name, family.layers),
        problems=_guarded(family.name, family.problems),
        memory=family.memory and _guarded(family.name, family.memory),
    )


def _guarded(name: str, call: Callable[P, R]) -> Callable[P, R]:
    """The same function; what a package raises refuses a spec, and ends nothing else."""

    def guarded(*given: P.args, **named: P.kwargs) -> R:
        try:
            return call(*given, **named)
        except SpecError:
            raise
        except Exception as error:
            logger.exception("the workload %s cannot be worked out", name)
            expected = f"a model type that can be worked out ({type(error).__name__}: {error})"
            problem = FieldError(field="model_type", expected=expected, received=name)
            raise SpecError(problem) from error

    return guarded
