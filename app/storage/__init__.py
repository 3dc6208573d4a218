"""Database, queue, migrations and stored things: all SQL of the service stands in this room."""
