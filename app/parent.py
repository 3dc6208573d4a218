"""The chain of death signals: a process that must not outlive its parent says so to the kernel."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent(with_signal: int = signal.SIGKILL, *, parent: int | None = None) -> None:
    """Ask the kernel to signal this process when the thread that started it ends (Linux only).

    The kernel forgets the request on fork and on a change of user: call it after both.

    Args:
        with_signal: the signal to end by.
        parent: the process that is expected to be the parent. Where it is not any more, it ended
            before the kernel knew of the request, and this process ends at once.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, with_signal)
        if parent is not None and os.getppid() != parent:
            os._exit(1)
