"""The command line `trainwatt`."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

INTERRUPTED = 130


def main() -> int:
    """Run one command; its exit code. Ctrl-C is no traceback, however early or late it comes."""
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.reconfigure(errors="replace")
        with _ended_by_sigint():
            from app.cli import commands

        return commands.main()
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the interpreter is ending already


@contextlib.contextmanager
def _ended_by_sigint() -> Iterator[None]:
    """Let Ctrl-C end the process in the block, in which nothing has begun.

    As an exception it may come while a library calls back, and be printed there and forgotten.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


__all__ = ["main"]
