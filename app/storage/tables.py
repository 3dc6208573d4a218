"""The tables that are ours, as SQLAlchemy sees them; procrastinate's stand beside them.

Text that must come back byte for byte (specs, readings) is of the type `json`, which keeps it as
it was written; `jsonb` would reorder keys and rewrite numbers.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB


class JsonText(sa.types.UserDefinedType[str]):
    """A `json` column that goes in and comes out as the text that was written."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The name of the type in DDL."""
        return "JSON"

    def column_expression(self, column: Any) -> sa.ColumnElement[str]:
        """Read as text, so that the driver does not parse it."""
        return sa.cast(column, sa.Text)


def _moment() -> sa.TIMESTAMP:
    return sa.TIMESTAMP(timezone=True)


metadata = sa.MetaData()

FILTERS = ("status", "model_type", "host")  # of jobs, and so of their reports

experiments = sa.Table(
    "experiments",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("spec", JsonText, nullable=False),
    sa.Column("variants", JsonText, nullable=False),
    sa.Column("ended", sa.Text),
    sa.Column("created_at", _moment(), nullable=False, server_default=sa.func.now()),
    sa.Column("ended_at", _moment()),
    sa.Index("experiments_by_time", "created_at", "id"),
    sa.Index("experiments_open", "id", postgresql_where=sa.text("ended IS NULL")),
)

# `variant` and `block` say which job of an experiment it is; `work` is what a quote follows from.
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("stage", sa.Text),
    sa.Column("spec", JsonText, nullable=False),
    sa.Column("spec_sha256", sa.Text, nullable=False),
    sa.Column("model_type", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("label", sa.Text),
    sa.Column("tags", JSONB, nullable=False),
    sa.Column("progress", JsonText),
    sa.Column("host", sa.Text),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default="false"),
    sa.Column("queue_id", sa.BigInteger),
    sa.Column("error", JsonText),
    sa.Column("created_at", _moment(), nullable=False, server_default=sa.func.now()),
    sa.Column("started_at", _moment()),
    sa.Column("finished_at", _moment()),
    sa.Column("experiment_id", sa.Text, sa.ForeignKey("experiments.id", ondelete="CASCADE")),
    sa.Column("variant", sa.Integer),
    sa.Column("block", sa.Integer),
    sa.Column("work", JsonText),
    sa.Column("quote", JsonText),
    sa.Index(
        "jobs_by_experiment",
        "experiment_id",
        "created_at",
        "id",
        postgresql_where=sa.text("experiment_id IS NOT NULL"),
    ),
    sa.Index("jobs_by_time", "created_at", "id"),
    sa.Index("jobs_by_status", "status", "created_at", "id"),
    sa.Index("jobs_by_model_type", "model_type", "created_at", "id"),
    sa.Index("jobs_by_host", "host", "created_at", "id"),
    sa.Index("jobs_by_spec", "spec_sha256"),
    sa.Index("jobs_by_tag", "tags", postgresql_using="gin"),
    sa.Index("jobs_by_queue_id", "queue_id"),
    sa.Index("jobs_waiting", "priority", "queue_id", postgresql_where=sa.text("status = 'queued'")),
)

# One row an attempt, from its claim on. `header` is the attempt's readings without any reading;
# `readings`, once it has ended, is the whole as zlib-compressed JSON.
attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("claimed_at", _moment(), nullable=False, server_default=sa.func.now()),
    sa.Column("header", JsonText),
    sa.Column("readings", sa.LargeBinary),
    sa.Column("ended", sa.Text),
    sa.Column("ended_at", _moment()),
    sa.Column("energy_j", sa.Double),
)

# One row a reading of an attempt that runs.
live_readings = sa.Table(
    "live_readings",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("job_id", sa.Text, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("body", JsonText, nullable=False),
    sa.ForeignKeyConstraint(
        ["job_id", "attempt"], ["attempts.job_id", "attempts.attempt"], ondelete="CASCADE"
    ),
    sa.Index("live_readings_by_attempt", "job_id", "attempt", "id"),
)

# `body` is the report as it goes out; `row` is it flattened. Beside it stands what rows are sorted
# and filtered by, as in the job, and each index is one order to walk along.
reports = sa.Table(
    "reports",
    metadata,
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("row", JsonText, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("model_type", sa.Text, nullable=False),
    sa.Column("host", sa.Text),
    sa.Column("finished_at", _moment(), nullable=False),
    sa.Column("energy_total_j", sa.Double),
    sa.Column("co2e_g", sa.Double),
    sa.Column("test_accuracy", sa.Double),
    sa.Column("j_per_sample", sa.Double),
    sa.Index("reports_by_time", "finished_at", "job_id", *FILTERS),
    sa.Index("reports_by_status", "status", "finished_at", "job_id"),
    sa.Index("reports_by_model_type", "model_type", "finished_at", "job_id"),
    sa.Index("reports_by_host", "host", "finished_at", "job_id"),
    sa.Index("reports_by_energy", "energy_total_j", "job_id", *FILTERS),
    sa.Index("reports_by_emissions", "co2e_g", "job_id", *FILTERS),
    sa.Index("reports_by_accuracy", "test_accuracy", "job_id", *FILTERS),
    sa.Index("reports_by_energy_per_sample", "j_per_sample", "job_id", *FILTERS),
)

# How many jobs ended in each final status, and what all their attempts used: counted as they end,
# since counting a million rows takes a third of a second.
totals = sa.Table(
    "totals",
    metadata,
    sa.Column("status", sa.Text, primary_key=True),
    sa.Column("jobs", sa.BigInteger, nullable=False),
    sa.Column("energy_j", sa.Double, nullable=False),
)

# Which job a submission with this header made; `spec_sha256` is of the whole spec.
idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("spec_sha256", sa.Text, nullable=False),
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("created_at", _moment(), nullable=False, server_default=sa.func.now()),
    sa.Index("idempotency_keys_by_time", "created_at"),
    sa.Index("idempotency_keys_by_job", "job_id"),
)

hosts = sa.Table(
    "hosts",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("body", JsonText, nullable=False),
    sa.Column("current_job", sa.Text),
    sa.Column("last_seen", _moment(), nullable=False, server_default=sa.func.now()),
)

# `body` holds the facts of the file, which lies in `dataset_parts` in chunks.
datasets = sa.Table(
    "datasets",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("body", JsonText, nullable=False),
    sa.Column("created_at", _moment(), nullable=False, server_default=sa.func.now()),
    sa.Index("datasets_by_sha256", "sha256"),
)

dataset_parts = sa.Table(
    "dataset_parts",
    metadata,
    sa.Column(
        "name", sa.Text, sa.ForeignKey("datasets.name", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("bytes", sa.LargeBinary, nullable=False),
)
