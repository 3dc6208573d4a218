"""The store: everything that is kept, on one database, as one object."""

from app.storage.attempts import AttemptRecords
from app.storage.hosts import HostRecords
from app.storage.jobs import JobPage, JobRecords
from app.storage.locks import Locks
from app.storage.recovery import Orphan, Recovery

__all__ = ["JobPage", "Orphan", "Store"]


class Store(JobRecords, AttemptRecords, Locks, Recovery, HostRecords):
    """Jobs for users, attempts and locks for the worker, recovery for the sweep, and hosts.

    Every method is one transaction and raises `UnavailableError` where the database is gone.
    """
