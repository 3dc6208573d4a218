"""The command line `trainwatt`."""

import signal
import sys

INTERRUPTED = 130


def main() -> int:
    """Run one command; its exit code. Ctrl-C is no traceback, however early or late it comes."""
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.reconfigure(errors="replace")
        from app.cli import commands

        return commands.main()
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the interpreter is ending already


__all__ = ["main"]
