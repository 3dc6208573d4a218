"""Jobs whose worker is gone go back to the queue, or fail where their attempts are used up."""

import logging

from app.accounting.report import energy_j
from app.domain.jobs import Job, JobError, JobStatus, Stage
from app.domain.readings import Readings
from app.storage.store import Orphan
from app.worker.bench import Bench
from app.worker.budget import budget
from app.worker.experiments import settle_all

logger = logging.getLogger(__name__)


async def sweep(bench: Bench) -> int:
    """Take every orphan once; safe when several workers sweep at once. Returns how many."""
    orphans = await bench.store.orphans(bench.settings.lease_s)
    for orphan in orphans:
        logger.warning("job %s: the worker of attempt %d is gone", orphan.job_id, orphan.attempt)
        await _take(bench, orphan)
    await settle_all(bench)
    return len(orphans) + await bench.store.mend_queue(bench.settings.lease_s)


async def _take(bench: Bench, orphan: Orphan) -> None:
    readings = await bench.store.readings(orphan.job_id, orphan.attempt)
    if orphan.cancel_requested:
        await _end(bench, orphan, readings, JobStatus.CANCELLED, None)
    elif orphan.attempt >= bench.settings.max_attempts:
        await _end(bench, orphan, readings, JobStatus.FAILED, _used_up(orphan))
    else:
        await _put_back(bench, orphan, readings)


async def _put_back(bench: Bench, orphan: Orphan, readings: Readings | None) -> None:
    """Let it run again, unless it has used all that it may."""
    job = await bench.store.get(orphan.job_id)
    used_j = energy_j(readings) if readings and readings.readings else _unread_j(job)
    allowed = budget(bench, job, await bench.store.attempts(orphan.job_id))
    excess = allowed.excess(allowed.spent_j + (used_j or 0.0))
    if excess and excess.status is JobStatus.BUDGET_EXHAUSTED:
        await _end(bench, orphan, readings, excess.status, excess.error)
        return
    await bench.store.put_back(
        orphan.job_id, orphan.attempt, ended="lost", energy_j=used_j, finish_queue_row=True
    )


def _unread_j(job: Job) -> float | None:
    """What an attempt without readings has used: nothing where it had not begun, else unknown."""
    return 0.0 if job.stage is Stage.WAITING_FOR_QUIET else None


def _used_up(orphan: Orphan) -> JobError:
    return JobError(
        code="attempts_used_up",
        message=f"its worker was lost in each of {orphan.attempt} attempts; see the worker's log",
    )


async def _end(
    bench: Bench,
    orphan: Orphan,
    readings: Readings | None,
    status: JobStatus,
    error: JobError | None,
) -> None:
    """Give an orphan its final status and the report of what is stored of it."""
    job = await bench.store.get(orphan.job_id)
    earlier = await bench.store.attempts(orphan.job_id)
    status, error, result = bench.conclude(job, readings, status, error, earlier)
    await bench.store.finish(
        orphan.job_id,
        orphan.attempt,
        status=status,
        error=error,
        report=result,
        readings=readings,
    )
