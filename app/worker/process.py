"""A training process for each job, from a warm fork server, under the meter's one thread."""

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import connection, context, forkserver, get_context
from pathlib import Path

from app.domain.errors import TrainingError, UnavailableError
from app.domain.readings import Reading
from app.domain.specs import JobSpec
from app.worker import child
from app.worker.environment import FORK_SERVER, WORKER_PID
from app.worker.messages import (
    Ended,
    Event,
    Failure,
    Forked,
    Interrupted,
    Mark,
    Message,
    Seen,
    Step,
)

START_S = 120.0
PEAK_S = 25.0  # for products that take less than a second on most hosts

Read = Callable[[int | None, Mark | None], Reading]
"""Reads every counter; given the training process and the mark that it is read at, if any."""


def start_fork_server() -> None:
    """Start it if it does not run, from the main thread: it dies with it. Returns at once."""
    os.environ[WORKER_PID] = str(os.getpid())
    os.environ.update(FORK_SERVER)
    _context().set_forkserver_preload(["app.worker.preload"])
    forkserver.ensure_running()


def _context() -> context.ForkServerContext:
    return get_context("forkserver")


def fork_server_pid() -> int | None:
    """The process that the training processes are children of."""
    pid: int | None = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    return pid


def kill_fork_server() -> None:
    """End it, and with it whatever hangs in it; the next job starts another."""
    pid = fork_server_pid()
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def warm_up() -> None:
    """Wait for the first child's answer.

    Raises:
        UnavailableError: no answer, or the server is not fit to fork from.
    """
    answer = _answer(child.warm, START_S)
    if answer != {"tensorflow": True, "threads": 1}:
        raise UnavailableError(
            f"the fork server is not fit to train in: expected TensorFlow loaded and one thread, "
            f"received {answer}; run `python -c 'import app.training.run'` to see why"
        )


def matmul_flops_per_s() -> dict[str, float]:
    """What the host computes at most, by precision, as a child finds with all of its threads.

    Raises:
        UnavailableError: the child did not answer.
    """
    answer = _answer(child.peak, PEAK_S)
    if not isinstance(answer, dict):
        raise UnavailableError(f"expected FLOP/s by precision, received {answer!r}")
    return answer


def _answer(target: Callable[[connection.Connection], None], within_s: float) -> object:
    """What a child says over its pipe; null where it says nothing in time."""
    here, there = _context().Pipe()
    process = _context().Process(target=target, args=(there,), daemon=True)
    process.start()
    there.close()
    try:
        return here.recv() if here.poll(within_s) else None
    except EOFError:
        return None
    finally:
        process.kill()
        process.join()
        here.close()


class Training:
    """One training process under the meter, seen as a stream of events.

    A thread of its own reads the meter before the process starts, once a tick, at every mark
    before its acknowledgement, and after the end; it is the meter's only caller meanwhile.
    """

    def __init__(self, spec: JobSpec, cache_dir: Path, read: Read, tick_s: float) -> None:
        """Prepare the pipe and the process; nothing runs yet."""
        self._here, self._there = _context().Pipe()
        self._process = _context().Process(
            target=child.main, args=(self._there, spec, cache_dir), daemon=True
        )
        self._read, self._tick_s = read, tick_s
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._killed = threading.Event()

    def start(self) -> None:
        """Start the thread, which reads the meter first and then makes the process."""
        loop = asyncio.get_running_loop()

        def emit(event: Event) -> None:
            loop.call_soon_threadsafe(self._events.put_nowait, event)

        self._thread = threading.Thread(target=self._run, args=(emit,), name="meter", daemon=True)
        self._thread.start()

    async def next(self) -> Event:
        """The next event; the last one is `Ended`. A cancelled wait loses none."""
        return await self._events.get()

    def kill(self) -> None:
        """End the process at once; the thread takes the last reading and says `Ended`."""
        self._killed.set()
        if self._process.pid is not None:
            self._process.kill()

    def interrupt(self) -> None:
        """End the process at once, and wake whoever waits for the next event."""
        self.kill()
        self._events.put_nowait(Interrupted())

    def _run(self, emit: Callable[[Event], None]) -> None:
        error: Exception | None = None
        try:
            emit(Seen(reading=self._read(None, None)))
            self._fork()
            if self._killed.is_set():  # asked to end before there was a process
                self._process.kill()
            emit(Forked())
            self._watch(emit)
        except Exception as raised:
            error = raised
        code: int | None = None
        try:
            code = self._end()
        except Exception as raised:
            error = error or raised
        emit(Ended(exit_code=code, error=error))

    def _fork(self) -> None:
        """Make the process.

        Raises:
            TrainingError: the fork server did not make one (code `start_failed`).
        """
        try:
            self._process.start()
        except (OSError, EOFError) as error:
            raise TrainingError(
                f"the training process could not be started ({error!r}); submit the job again",
                code="start_failed",
            ) from error
        finally:
            self._there.close()

    def _watch(self, emit: Callable[[Event], None]) -> None:
        """Read and emit until the process is gone."""
        sources: list[connection.Connection | int] = [self._here, self._process.sentinel]
        due_s = time.monotonic() + self._tick_s
        while True:
            ready = connection.wait(sources, max(0.0, due_s - time.monotonic()))
            if self._here in ready:
                if not self._receive(emit):
                    sources.remove(self._here)
            elif self._process.sentinel in ready:
                self._process.join()
                emit(Seen(reading=self._read(None, None)))
                return
            else:
                emit(Seen(reading=self._read(self._process.pid, None)))
                due_s = max(due_s + self._tick_s, time.monotonic())

    def _receive(self, emit: Callable[[Event], None]) -> bool:
        """Take one message, acknowledge a mark after its reading; false at the pipe's end."""
        try:
            message: Message = self._here.recv()
        except (EOFError, OSError):
            return False
        if isinstance(message, Step | Failure):
            emit(message)
            return True
        emit(Seen(reading=self._read(self._process.pid, message)))
        try:
            self._here.send("go")
        except OSError:  # killed meanwhile: the sentinel tells
            return False
        return True

    def _end(self) -> int | None:
        """Leave no process behind, whatever happened; its exit code, null if it never ran."""
        if self._process.pid is None:
            return None
        self._process.kill()
        self._process.join()
        self._here.close()
        return self._process.exitcode
