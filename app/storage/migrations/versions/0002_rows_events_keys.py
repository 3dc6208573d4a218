"""Flat rows of reports with what they are sorted by, totals, idempotency keys, and notices."""

from datetime import UTC
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.accounting.rows import row
from app.domain.reports import EnergyReport
from app.domain.specs import JobSpec

revision = "0002"
down_revision = "0001"

# Who listens to `trainwatt_jobs` hears of every change of a job, whoever makes it: its
# identifier, after the commit. A reading is stored with a write of its job, so it is heard too.
BEFORE = """
ALTER TABLE reports
    ADD COLUMN row json,
    ADD COLUMN status text,
    ADD COLUMN model_type text,
    ADD COLUMN host text,
    ADD COLUMN finished_at timestamptz,
    ADD COLUMN energy_total_j double precision,
    ADD COLUMN co2e_g double precision,
    ADD COLUMN test_accuracy double precision,
    ADD COLUMN j_per_sample double precision;

CREATE TABLE totals (
    status text PRIMARY KEY,
    jobs bigint NOT NULL,
    energy_j double precision NOT NULL
);

CREATE TABLE idempotency_keys (
    key text PRIMARY KEY,
    spec_sha256 text NOT NULL,
    job_id text NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);
CREATE INDEX idempotency_keys_by_job ON idempotency_keys (job_id);

CREATE FUNCTION trainwatt_notify_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('trainwatt_jobs', NEW.id);
    RETURN NULL;
END
$$;
CREATE TRIGGER trainwatt_notify_job AFTER INSERT OR UPDATE ON jobs
    FOR EACH ROW EXECUTE FUNCTION trainwatt_notify_job();
"""

# Each index is an order to walk along. What rows are filtered by stands behind it, so that those
# of other hosts are passed over without a look at the table; in the usual order it stands before.
AFTER = """
ALTER TABLE reports
    ALTER COLUMN row SET NOT NULL,
    ALTER COLUMN status SET NOT NULL,
    ALTER COLUMN model_type SET NOT NULL,
    ALTER COLUMN finished_at SET NOT NULL;
CREATE INDEX reports_by_time ON reports (finished_at, job_id, status, model_type, host);
CREATE INDEX reports_by_status ON reports (status, finished_at, job_id);
CREATE INDEX reports_by_model_type ON reports (model_type, finished_at, job_id);
CREATE INDEX reports_by_host ON reports (host, finished_at, job_id);
CREATE INDEX reports_by_energy ON reports (energy_total_j, job_id, status, model_type, host);
CREATE INDEX reports_by_emissions ON reports (co2e_g, job_id, status, model_type, host);
CREATE INDEX reports_by_accuracy ON reports (test_accuracy, job_id, status, model_type, host);
CREATE INDEX reports_by_energy_per_sample
    ON reports (j_per_sample, job_id, status, model_type, host);

INSERT INTO totals (status, jobs, energy_j)
SELECT status, count(*), coalesce(sum((row ->> 'energy_spent_j')::double precision), 0)
FROM reports GROUP BY status;
"""

BATCH = 500  # reports that are held in memory at once
OLD = sa.text("""
SELECT job_id, body, spec::text, jobs.status, jobs.model_type, jobs.host, jobs.created_at,
    coalesce(jobs.finished_at, now()) AS finished_at
FROM reports JOIN jobs ON jobs.id = job_id
WHERE job_id > :after ORDER BY job_id LIMIT :batch
""")
FILL = sa.text("""
UPDATE reports SET row = CAST(:row AS json), status = :status, model_type = :model_type,
    host = :host, finished_at = :finished_at,
    energy_total_j = :energy_total_j, co2e_g = :co2e_g, test_accuracy = :test_accuracy,
    j_per_sample = :j_per_sample
WHERE job_id = :job_id
""")


def upgrade() -> None:
    """Make the columns and tables, and fill them from the reports that are there."""
    connection = op.get_bind()
    raw = connection.execution_options(no_parameters=True)  # SQL as it stands
    raw.exec_driver_sql(BEFORE)
    after = ""
    while old := connection.execute(OLD, {"after": after, "batch": BATCH}).all():
        connection.execute(FILL, [_filled(report) for report in old])
        after = old[-1].job_id
    raw.exec_driver_sql(AFTER)


def _filled(old: sa.Row[Any]) -> dict[str, Any]:
    flat = row(
        EnergyReport.model_validate_json(bytes(old.body), extra="ignore"),
        spec=JobSpec.model_validate_json(old.spec, extra="ignore"),
        created_at=old.created_at.astimezone(UTC),
    )
    return {
        "job_id": old.job_id,
        "row": flat.model_dump_json(),
        "status": old.status,
        "model_type": old.model_type,
        "host": old.host,
        "finished_at": flat.finished_at or old.finished_at,
        "energy_total_j": flat.energy_total_j,
        "co2e_g": flat.co2e_g,
        "test_accuracy": flat.test_accuracy,
        "j_per_sample": flat.j_per_sample,
    }
