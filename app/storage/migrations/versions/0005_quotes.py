"""What each job was expected to cost, and the work that this follows from."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns; jobs that are there keep null."""
    raw = op.get_bind().execution_options(no_parameters=True)  # SQL as it stands
    raw.exec_driver_sql("ALTER TABLE jobs ADD COLUMN work json, ADD COLUMN quote json")
