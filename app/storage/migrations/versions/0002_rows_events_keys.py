"""Flat rows of reports with what they are sorted by, totals, idempotency keys, and notices."""

from datetime import UTC

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

AFTER = """
ALTER TABLE reports ALTER COLUMN row SET NOT NULL, ALTER COLUMN finished_at SET NOT NULL;
CREATE INDEX reports_by_time ON reports (finished_at, job_id);
CREATE INDEX reports_by_energy ON reports (energy_total_j, job_id);
CREATE INDEX reports_by_emissions ON reports (co2e_g, job_id);
CREATE INDEX reports_by_accuracy ON reports (test_accuracy, job_id);
CREATE INDEX reports_by_energy_per_sample ON reports (j_per_sample, job_id);

INSERT INTO totals (status, jobs, energy_j)
SELECT status, count(*), coalesce(sum((row ->> 'energy_spent_j')::double precision), 0)
FROM reports JOIN jobs ON jobs.id = reports.job_id GROUP BY status;
"""

OLD = "SELECT job_id, body, spec::text, created_at FROM reports JOIN jobs ON jobs.id = job_id"
FILL = sa.text("""
UPDATE reports SET row = CAST(:row AS json), energy_total_j = :energy, co2e_g = :co2e,
    test_accuracy = :accuracy, j_per_sample = :per_sample,
    finished_at = (SELECT coalesce(jobs.finished_at, now()) FROM jobs WHERE jobs.id = job_id)
WHERE job_id = :job_id
""")


def upgrade() -> None:
    """Make the columns and tables, and fill them from the reports that are there."""
    connection = op.get_bind()
    raw = connection.execution_options(no_parameters=True)  # SQL as it stands
    raw.exec_driver_sql(BEFORE)
    for job_id, body, spec, created_at in connection.exec_driver_sql(OLD).all():
        flat = row(
            EnergyReport.model_validate_json(bytes(body), extra="ignore"),
            spec=JobSpec.model_validate_json(spec),
            created_at=created_at.astimezone(UTC),
        )
        filled = {
            "job_id": job_id,
            "row": flat.model_dump_json(),
            "energy": flat.energy_total_j,
            "co2e": flat.co2e_g,
            "accuracy": flat.test_accuracy,
            "per_sample": flat.j_per_sample,
        }
        connection.execute(FILL, filled)
    raw.exec_driver_sql(AFTER)
