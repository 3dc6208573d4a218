"""Experiments, and which variant and block of one a job is."""

from alembic import op

revision = "0004"
down_revision = "0003"

EXPERIMENTS = """
CREATE TABLE experiments (
    id text PRIMARY KEY,
    name text,
    spec json NOT NULL,
    variants json NOT NULL,
    ended text,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE INDEX experiments_by_time ON experiments (created_at, id);
CREATE INDEX experiments_open ON experiments (id) WHERE ended IS NULL;

ALTER TABLE jobs
    ADD COLUMN experiment_id text REFERENCES experiments (id) ON DELETE CASCADE,
    ADD COLUMN variant integer,
    ADD COLUMN block integer;
CREATE INDEX jobs_by_experiment ON jobs (experiment_id, created_at, id)
    WHERE experiment_id IS NOT NULL;
"""


def upgrade() -> None:
    """Make the table and the columns."""
    raw = op.get_bind().execution_options(no_parameters=True)  # SQL as it stands
    raw.exec_driver_sql(EXPERIMENTS)
