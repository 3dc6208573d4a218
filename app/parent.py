"""The chain of death signals: a process that must not outlive its parent says so to the kernel."""

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent(with_signal: int = signal.SIGKILL) -> None:
    """Ask the kernel to signal this process when the thread that started it ends (Linux only).

    The kernel forgets the request on fork and on a change of user: call it after both.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, with_signal)
