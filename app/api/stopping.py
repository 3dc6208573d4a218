"""The end of the server, told to whoever waits in it: open streams and waiting requests end.

A server that is asked to stop waits until every answer is given, and uvicorn tells the app only
after that; so the signal itself is heard, in front of the server's own handler.
"""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopping:
    """Whether the server stops, and who wants to hear of it.

    Attributes:
        begun: whether it stops.
    """

    def __init__(self) -> None:
        """The server goes on."""
        self.begun = False
        self._wakes: dict[object, Callable[[], None]] = {}

    def begin(self) -> None:
        """The server stops: wake whoever waits. On the event loop."""
        self.begun = True
        for wake in tuple(self._wakes.values()):
            wake()

    @contextmanager
    def wakes(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call this when the server stops, while a block runs."""
        this = object()
        self._wakes[this] = wake
        try:
            yield
        finally:
            del self._wakes[this]

    async def sleep(self, seconds: float) -> None:
        """Wait so long, or until the server stops."""
        over = asyncio.Event()
        with self.wakes(over.set), contextlib.suppress(TimeoutError):
            if not self.begun:
                await asyncio.wait_for(over.wait(), seconds)

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Begin with the first signal to stop, while a block runs; the server hears it too.

        Signals can be heard in the main thread alone: elsewhere nothing is done.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        before = {number: signal.getsignal(number) for number in SIGNALS}

        def hear(number: int, frame: Any) -> None:
            loop.call_soon_threadsafe(self.begin)
            handler = before[signal.Signals(number)]
            if callable(handler):
                handler(number, frame)

        ours = {n for n, handler in before.items() if callable(handler)}  # else it ends the process
        for number in ours:
            signal.signal(number, hear)
        try:
            yield
        finally:
            for number in ours:
                if signal.getsignal(number) is hear:
                    signal.signal(number, before[number])
