"""The first schema: our tables, and procrastinate's as its installed package has it."""

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0001"
down_revision = None

OURS = """
CREATE TABLE jobs (
    id text PRIMARY KEY,
    status text NOT NULL,
    stage text,
    spec json NOT NULL,
    spec_sha256 text NOT NULL,
    model_type text NOT NULL,
    priority integer NOT NULL,
    label text,
    tags jsonb NOT NULL,
    progress json,
    host text,
    attempt integer NOT NULL DEFAULT 0,
    cancel_requested boolean NOT NULL DEFAULT false,
    queue_id bigint,
    error json,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    finished_at timestamptz
);
CREATE INDEX jobs_by_time ON jobs (created_at, id);
CREATE INDEX jobs_by_status ON jobs (status, created_at, id);
CREATE INDEX jobs_by_model_type ON jobs (model_type, created_at, id);
CREATE INDEX jobs_by_host ON jobs (host, created_at, id);
CREATE INDEX jobs_by_spec ON jobs (spec_sha256);
CREATE INDEX jobs_by_tag ON jobs USING gin (tags);
CREATE INDEX jobs_by_queue_id ON jobs (queue_id);
CREATE INDEX jobs_waiting ON jobs (priority, queue_id) WHERE status = 'queued';

CREATE TABLE attempts (
    job_id text NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    attempt integer NOT NULL,
    host text NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    header json,
    readings bytea,
    ended text,
    ended_at timestamptz,
    energy_j double precision,
    PRIMARY KEY (job_id, attempt)
);
-- what is in it is compressed already
ALTER TABLE attempts ALTER COLUMN readings SET STORAGE EXTERNAL;

CREATE TABLE live_readings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id text NOT NULL,
    attempt integer NOT NULL,
    body json NOT NULL,
    FOREIGN KEY (job_id, attempt) REFERENCES attempts (job_id, attempt) ON DELETE CASCADE
);
CREATE INDEX live_readings_by_attempt ON live_readings (job_id, attempt, id);

CREATE TABLE reports (
    job_id text PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    body bytea NOT NULL
);

CREATE TABLE hosts (
    name text PRIMARY KEY,
    body json NOT NULL,
    current_job text,
    last_seen timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    """Make every table of version 0.1."""
    raw = op.get_bind().execution_options(no_parameters=True)  # SQL as it stands: `%` and `:` too
    raw.exec_driver_sql(OURS)
    raw.exec_driver_sql(SchemaManager.get_schema())
