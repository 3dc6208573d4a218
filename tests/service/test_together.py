"""Questions that are put once for many."""

import asyncio

import pytest

from app.service.together import Together


class Asked:
    """Answers with how often it was asked, when it is let."""

    def __init__(self):
        self.times, self.let = 0, asyncio.Event()

    async def __call__(self):
        self.times += 1
        mine = self.times
        await self.let.wait()
        return mine


async def test_who_asks_at_one_moment_gets_one_answer():
    together, look = Together(), Asked()
    look.let.set()
    answers = await asyncio.gather(*(together.ask("a", look) for _ in range(50)))
    assert answers == [1] * 50
    other = Asked()
    other.let.set()
    await asyncio.gather(together.ask("a", look), together.ask("b", other))
    assert (look.times, other.times) == (2, 1)


async def test_nobody_gets_an_answer_from_before_the_question():
    together, look = Together(), Asked()
    first = asyncio.ensure_future(together.ask("a", look))
    while look.times == 0:
        await asyncio.sleep(0)
    second = asyncio.ensure_future(together.ask("a", look))
    await asyncio.sleep(0.01)
    look.let.set()
    assert (await first, await second) == (1, 2)


async def test_an_error_is_told_to_all_and_one_that_leaves_takes_nobody_along():
    together, go = Together(), asyncio.Event()

    async def fails():
        await go.wait()
        raise ValueError("no")

    asking = [asyncio.ensure_future(together.ask("a", fails)) for _ in range(3)]
    await asyncio.sleep(0)
    asking[0].cancel()
    go.set()
    for each in asking[1:]:
        with pytest.raises(ValueError, match="no"):
            await each
    with pytest.raises(asyncio.CancelledError):
        await asking[0]
