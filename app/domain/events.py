"""What is told of a job while it goes on: where it stands, how far it is, what power it draws."""

from typing import Literal

from app.domain.jobs import JobError, JobStatus, Progress, Stage
from app.domain.quantities import Frozen

EventName = Literal["status", "progress", "power"]


class Standing(Frozen):
    """Where a job stands; `attempt` is 0 until a worker takes it."""

    status: JobStatus
    stage: Stage | None
    attempt: int
    error: JobError | None = None


class PowerSample(Frozen):
    """Mean power of each component from `t_s`, in seconds since the attempt began, to the next.

    Null where a component does not exist or cannot be read.
    """

    attempt: int
    t_s: float
    cpu_w: float | None
    gpu_w: float | None
    ram_w: float | None


class JobEvent(Frozen):
    """One piece of news; `id` tells a service where to go on after it."""

    id: str
    data: Standing | Progress | PowerSample

    @property
    def name(self) -> EventName:
        """The name of this kind of event."""
        match self.data:
            case Standing():
                return "status"
            case Progress():
                return "progress"
            case PowerSample():
                return "power"
