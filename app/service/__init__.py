"""What can be asked of the system, shared by all servers: each room adds a part to `Service`."""

from app.service.comparisons import Comparisons
from app.service.events import Events
from app.service.experiments import Experiments
from app.service.posted import Posted
from app.service.reports import Reports
from app.service.so_far import SoFar
from app.service.state import State

__all__ = ["Service"]


class Service(Experiments, Events, SoFar, Comparisons, Posted, Reports, State):
    """The system as its users see it. Every method may raise UnavailableError."""
