"""The same question of many at one moment is put once: a notice wakes all who follow a job."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class Together:
    """Questions that are about to be put, and who waits for their answers."""

    def __init__(self) -> None:
        """Nothing is asked yet."""
        self._asked: dict[Hashable, asyncio.Task[Any]] = {}

    async def ask(self, key: Hashable, do: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer to a question; who asks the same before it is put gets the same one.

        Nobody gets the answer to a question that was put before theirs, so no news is missed.
        """
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.ensure_future(self._put(key, do))
            task.add_done_callback(_seen)
        answer: Answer = await asyncio.shield(task)
        return answer

    async def _put(self, key: Hashable, do: Callable[[], Awaitable[Answer]]) -> Answer:
        await asyncio.sleep(0)  # all who were woken together ask first
        del self._asked[key]
        return await do()


def _seen(task: asyncio.Task[Any]) -> None:
    """An error is told to those who wait; where all are gone, it is nobody's."""
    if not task.cancelled():
        task.exception()
