"""Data sets of users, each as facts and the chunks of its file."""

from alembic import op

revision = "0003"
down_revision = "0002"

DATASETS = """
CREATE TABLE datasets (
    name text PRIMARY KEY,
    sha256 text NOT NULL,
    body json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX datasets_by_sha256 ON datasets (sha256);

CREATE TABLE dataset_parts (
    name text NOT NULL REFERENCES datasets (name) ON DELETE CASCADE,
    number integer NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (name, number)
);
-- most files are compressed already, and a worker reads whole chunks
ALTER TABLE dataset_parts ALTER COLUMN bytes SET STORAGE EXTERNAL;
"""


def upgrade() -> None:
    """Make the tables."""
    raw = op.get_bind().execution_options(no_parameters=True)  # SQL as it stands
    raw.exec_driver_sql(DATASETS)
