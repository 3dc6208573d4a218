"""The store: everything that is kept, on one database, as one object."""

from app.storage.attempts import AttemptRecords
from app.storage.datasets import DatasetRecords
from app.storage.experiments import ExperimentPage, ExperimentRecords, Placed
from app.storage.external import ExternalRecords
from app.storage.hosts import HostRecords
from app.storage.jobs import JobPage, JobRecords
from app.storage.live import LiveRecords
from app.storage.locks import Locks
from app.storage.notices import Notices
from app.storage.quotes import QuoteRecords
from app.storage.recovery import Orphan, Recovery
from app.storage.reports import ReportRecords, RowPage
from app.storage.totals import Figures, Totals

__all__ = ["ExperimentPage", "Figures", "JobPage", "Orphan", "Placed", "RowPage", "Store"]


class Store(
    JobRecords,
    ReportRecords,
    AttemptRecords,
    ExperimentRecords,
    ExternalRecords,
    QuoteRecords,
    LiveRecords,
    Notices,
    Locks,
    Recovery,
    HostRecords,
    DatasetRecords,
    Totals,
):
    """Jobs and reports for users, attempts and locks for the worker, recovery for the sweep, hosts.

    Data sets of users for both, experiments. Every method is one transaction and raises
    `UnavailableError` where the database is gone.
    """
