"""Ends experiments: when enough is known, the budget is used up, or every job has ended."""

import contextlib
import logging
from datetime import UTC, datetime

from app.accounting.report import empty_report
from app.analysis.experiments import enough
from app.domain.errors import StateError, UnavailableError
from app.domain.experiments import Ended
from app.domain.jobs import Job, JobError, JobStatus
from app.domain.reports import AttemptEnergy, EnergyReport
from app.storage.experiments import SETTLED
from app.worker.bench import Bench
from app.workloads import catalogue

logger = logging.getLogger(__name__)

WHY: dict[Ended, str] = {
    "complete": "every job of its experiment had ended",
    "ratio_within": "its experiment knew the ratios as well as was asked for",
    "budget": "its experiment had used up its budget",
    "cancelled": "its experiment was cancelled",
}


async def settle(bench: Bench, experiment_id: str) -> None:
    """End an experiment where it is time, and cancel what waits of one that has ended.

    Safe when several workers do so at once, and when one of them did half of it. One that cannot be
    judged, as of another release, is left as it is: it must not end the worker.

    Raises:
        UnavailableError: the database does not answer.
    """
    try:
        await _settle(bench, experiment_id)
    except UnavailableError:
        raise
    except Exception:
        logger.exception("experiment %s cannot be judged and goes on", experiment_id)


async def _settle(bench: Bench, experiment_id: str) -> None:
    store = bench.store
    experiment = await store.experiment(experiment_id)
    ended = experiment.ended
    if ended is None:
        ended = enough(experiment.spec, experiment.variants, await store.runs(experiment_id))
        if ended is None:
            return
        if await store.end_experiment(experiment_id, ended):
            logger.info("experiment %s has ended: %s", experiment_id, ended)
    for job_id in await store.unfinished(experiment_id):
        job = await store.get(job_id)
        if job.status is JobStatus.QUEUED:  # one that runs elsewhere is let to its end
            await _leave_out(bench, job, ended)


async def settle_all(bench: Bench) -> None:
    """The same for each that waits for it: a worker may have been lost before it could."""
    for experiment_id in await bench.store.unsettled():
        await settle(bench, experiment_id)


async def _leave_out(bench: Bench, job: Job, ended: Ended) -> None:
    earlier = await bench.store.attempts(job.id)
    error = JobError(code=SETTLED, message=f"not run: {WHY[ended]}")
    with contextlib.suppress(StateError):  # it ended meanwhile
        await bench.store.cancel(job.id, lambda now: _unrun(bench, now, earlier), error=error)


def _unrun(bench: Bench, job: Job, earlier: tuple[AttemptEnergy, ...]) -> EnergyReport:
    return empty_report(
        job_id=job.id,
        spec=job.to_train,
        status=JobStatus.CANCELLED,
        work=catalogue.known_facts(job.to_train),
        intensity=bench.intensity(job),
        finished_at=datetime.now(UTC),
        earlier=earlier,
    )
