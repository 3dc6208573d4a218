"""Trainings that ran outside of the service: kept as final jobs, beside those that ran here."""

import asyncio

from sqlalchemy.dialects.postgresql import insert

from app.domain.external import EXTERNAL
from app.domain.posted import PostedReport
from app.domain.reports import EnergyReport
from app.storage.database import Database
from app.storage.reports import store_report
from app.storage.rows import header_of, pack
from app.storage.tables import attempts, jobs


class ExternalRecords(Database):
    """Final jobs that no worker ran."""

    async def add_external(self, posted: PostedReport, report: EnergyReport) -> bool:
        """Keep a training with its readings and its report; false where it is kept already."""
        packed = await asyncio.to_thread(lambda: pack(posted.readings.to_bytes()))
        error = posted.ended.error
        async with self.transaction() as connection:
            added = await connection.scalar(
                insert(jobs)
                .values(
                    id=report.job_id,
                    status=report.status.value,
                    spec=posted.training.model_dump_json(),
                    spec_sha256=report.spec_sha256,
                    model_type=EXTERNAL,
                    priority=0,
                    tags=posted.training.tags,
                    host=posted.readings.host.name,
                    attempt=posted.readings.attempt,
                    error=error.model_dump_json() if error else None,
                    started_at=report.started_at,
                    finished_at=report.finished_at,
                )
                .on_conflict_do_nothing(index_elements=["id"])
                .returning(jobs.c.id)
            )
            if added is None:
                return False
            await connection.execute(
                attempts.insert().values(
                    job_id=report.job_id,
                    attempt=posted.readings.attempt,
                    host=posted.readings.host.name,
                    header=header_of(posted.readings),
                    readings=packed,
                    ended=report.status.value,
                    ended_at=report.finished_at,
                    energy_j=report.energy.total_j,
                )
            )
            await store_report(connection, report)
            return True
