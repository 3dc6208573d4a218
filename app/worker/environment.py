"""What the worker tells the processes that it starts, by their environment."""

WORKER_PID = "TRAINWATT_WORKER_PID"  # the fork server ends where this is not its parent
