"""Imported once, by the fork server: heavy imports, no op, no thread, and death with the worker."""

import os

from app.parent import die_with_parent
from app.worker.environment import WORKER_PID

PID = os.getpid()  # of the fork server; its children check it

die_with_parent(parent=int(os.environ[WORKER_PID]))

# Two lines of absl and oneDNN on stderr survive every setting: silence the descriptor meanwhile.
_stderr = os.dup(2)
_null = os.open(os.devnull, os.O_WRONLY)
os.dup2(_null, 2)
try:
    import app.training.run  # noqa: F401
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_null)
