"""Locks on files, which the kernel takes back from a process that ends, however that comes."""

import fcntl


def unlock(descriptor: int) -> None:
    """Give a lock back at once, also where a forked child still has the file open."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this process alone; false where another one has it.

    Raises:
        OSError: the file's system has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
