"""A measuring host as its worker announces it: hardware, sensors, baseline, what it runs now."""

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
