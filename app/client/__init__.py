"""The typed Python client of a running service, and its async twin: errors as domain errors."""

from app.client.aio import AsyncClient
from app.client.models import ExperimentReport, JobList, Report, RowList
from app.client.sync import Client
from app.client.tracked import AsyncJob, TrackedJob

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "Client",
    "ExperimentReport",
    "JobList",
    "Report",
    "RowList",
    "TrackedJob",
]
