"""Planted loads that know their own CPU time: `burn SHARE LOG` and `ask HOST PORT PATH RATE LOG`.

Each is a process of its own that writes down, many times a second, the moment of the monotonic
clock and the CPU-seconds that it has used by the kernel's clock for its own process.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOK_S = 0.002
NOTE_S = 0.05
RECEIVED = 65_536


class Notes:
    """What a load writes down of itself."""

    def __init__(self, path: str) -> None:
        """Begin with the first line."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._due_s, self._parent = 0.0, os.getppid()
        self.now()

    def now(self) -> None:
        """A line, where the last one is old enough; the end, where the parent is gone."""
        now_s = time.monotonic()
        if now_s >= self._due_s:
            if os.getppid() != self._parent:
                raise SystemExit("nobody waits for this load any more")
            os.write(self._file, f"{now_s!r} {time.process_time()!r}\n".encode())
            self._due_s = now_s + NOTE_S


def burn(share: float, log: str) -> None:
    """Use this share of one CPU, for ever."""
    notes = Notes(log)
    begun_s, used_s = time.monotonic(), time.process_time()
    while True:
        notes.now()
        while time.process_time() - used_s < share * (time.monotonic() - begun_s):
            sum(range(2_000))
            notes.now()
        time.sleep(LOOK_S)


def ask(host: str, port: int, path: str, rate_hz: float, log: str) -> None:
    """Ask the service so many times a second, over one connection, for ever."""
    notes = Notes(log)
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    with socket.create_connection((host, port)) as connection:
        due_s = time.monotonic()
        while True:
            connection.sendall(request)
            _answer(connection)
            notes.now()
            due_s += 1 / rate_hz
            time.sleep(max(0.0, due_s - time.monotonic()))


def _answer(connection: socket.socket) -> None:
    """Read one answer to its end.

    Raises:
        RuntimeError: it is no success.
    """
    head, _, body = connection.recv(RECEIVED).partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"expected 200, received {head[:200]!r}")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(RECEIVED)


@contextmanager
def planted(log: Path, *words: object) -> Iterator[Path]:
    """A load beside a block; it is ended after it. Gives its log.

    Raises:
        RuntimeError: it ended by itself.
    """
    command = [sys.executable, "-S", "-E", __file__, *map(str, words), str(log)]
    load = subprocess.Popen(command)
    try:
        yield log
        if load.poll() is not None:
            raise RuntimeError(f"the load has ended by itself, with {load.returncode}")
    finally:
        load.send_signal(signal.SIGKILL)
        load.wait()


def noted(log: Path) -> list[tuple[float, float]]:
    """Moments and CPU-seconds that a load wrote down; a line cut by its end is left out."""
    lines = [line.split() for line in log.read_text().splitlines()[:-1]]
    return [(float(at_s), float(used_s)) for at_s, used_s in lines]


if __name__ == "__main__":
    if sys.argv[1] == "burn":
        burn(float(sys.argv[2]), sys.argv[3])
    else:
        ask(sys.argv[2], int(sys.argv[3]), sys.argv[4], float(sys.argv[5]), sys.argv[6])
