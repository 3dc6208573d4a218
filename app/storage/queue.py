"""The queue: one task, one queue a label, and procrastinate on the same database as our rows."""

import procrastinate

TASK = "train"
ANY = "any"  # the queue of jobs that may run on every worker


def make_queue(url: str) -> procrastinate.App:
    """The queue on a database, given as a libpq URL; it opens no connection yet."""
    return procrastinate.App(
        connector=procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=3)
    )


def queue_name(labels: tuple[str, ...]) -> str:
    """The queue of a job: its one label, or the queue that every worker listens to."""
    return labels[0] if labels else ANY
