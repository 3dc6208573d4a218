"""A measuring host as its worker announces it: hardware, sensors, baseline, what it runs now."""

from collections.abc import Collection, Iterable
from datetime import datetime

from app.domain.quantities import Frozen
from app.domain.readings import HostFacts, MeterFacts
from app.domain.reports import Baseline


class Host(Frozen):
    """One worker's host. `ready` is true once the first warm training process has answered."""

    name: str
    facts: HostFacts
    meter: MeterFacts | None
    labels: tuple[str, ...]
    ready: bool
    baseline: Baseline | None
    started_at: datetime
    last_seen: datetime
    current_job: str | None


def worker_trouble(
    hosts: Iterable[Host], name: str, *, now: datetime, lease_s: float
) -> str | None:
    """Why the worker of a host is not counted on, in a sentence; null where it is.

    Args:
        hosts: those that are known.
        name: of the host that is meant.
        now: the moment to judge at.
        lease_s: seconds without a sign of life after which a worker counts as gone.
    """
    host = next((host for host in hosts if host.name == name), None)
    if host is None:
        return f"The worker of {name} has not announced itself yet."
    silence_s = (now - host.last_seen).total_seconds()
    if silence_s >= lease_s:
        return f"The worker of {name} was last heard {silence_s:.0f} s ago."
    if not host.ready:
        return f"The worker of {name} has not warmed its first training process yet."
    return None


def no_taker(labels: tuple[str, ...], hosts: Collection[Host]) -> str:
    """Why no worker takes a job with these labels, in words; nothing where one may.

    Args:
        labels: of the job's placement, at most one.
        hosts: those that are known.
    """
    if all(any(one in (*host.labels, f"host:{host.name}") for host in hosts) for one in labels):
        return ""
    return f"no known worker takes the label {labels[0]}"
