"""The history of the database's schema, run by alembic in-process."""
